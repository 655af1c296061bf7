"""The order of an operation: one file, one flow, one thing a person can start."""
