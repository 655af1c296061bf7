"""Which process runs a flow run: written down, so that the sweep can tell when it has died."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect.runtime import flow_run

from branchline.errors import BranchlineError
from branchline.wiring import open_platform


@contextmanager
def recorded() -> Iterator[None]:
    """Until the end of the context, this flow run has its process."""
    platform, run = open_platform(), str(flow_run.id)
    this = platform.operations.processes.this()
    platform.store.running.began(run, this, platform.clock())
    try:
        yield
    finally:
        with suppress(BranchlineError):  # a row too many is dropped by the sweep
            platform.store.running.ended(run, this)
