"""`branchline down`: telling `branchline up` to stop, and waiting for it."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from branchline.errors import BranchlineError, Unavailable
from branchline.launch.drain import LAST_SECONDS, Say, under_way
from branchline.launch.record import Record, read
from branchline.launch.server import POOL, Server
from branchline.platform import Platform

LOOK_SECONDS = 1.0
STOPPING_SECONDS = 120.0
"""For its processes to end, when the runs have."""


def bring_down(platform: Platform, say: Say, *, now: bool) -> Record | None:
    """Who kept this home running until now; None when nobody did. `now`: without waiting for runs under way.

    Raises Unavailable (358) when it has not ended in its time.
    """
    record = read(platform.layout.up, platform.operations.processes)
    if record is None:
        return None
    process = os.pidfd_open(record.holder.pid)
    try:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if now:
                _ended(process, LOOK_SECONDS)
                signal.pidfd_send_signal(process, signal.SIGTERM)
        say(f"asked process {record.holder.pid} to stop")
        _wait(process, platform, record, say)
    finally:
        os.close(process)
    return record


def _wait(process: int, platform: Platform, record: Record, say: Say) -> None:
    server, told = Server(record.url), ""
    left = platform.settings.drain + LAST_SECONDS + STOPPING_SECONDS
    while not _ended(process, LOOK_SECONDS):
        left -= LOOK_SECONDS
        if left <= 0:
            raise Unavailable(
                358,
                f"Process {record.holder.pid} does not stop.",
                f"read {platform.layout.prefect}/*.log; kill {record.holder.pid} ends it and what it started",
            )
        if not server.alive():
            continue
        with suppress(BranchlineError):
            names = ", ".join(sorted(run.name for run in under_way(server, POOL, record.holder.host)))
            if names and names != told:
                say(f"waiting for {names}")
            told = names


def _ended(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
