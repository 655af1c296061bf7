"""Prefect's own least: the reference of `benchmarks.flows`."""

from prefect import flow


@flow(name="empty")
def empty() -> None:
    """Nothing."""
