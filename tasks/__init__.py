"""One journaled step each, as a Prefect task: its name and what it takes. No logic."""
