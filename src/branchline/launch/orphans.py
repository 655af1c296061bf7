"""Processes of flow runs on this host that no worker looks after, and their end."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress

import psutil

from branchline.domain.activity import Holder
from branchline.operation import Processes

GRACE_SECONDS = 30.0
"""From being asked to end to being killed: Prefect's own."""


def is_orphan(holder: Holder) -> bool:
    """Whether no Prefect process is its parent: its worker died, or a terminal started it."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(holder.pid).parent()
        return parent is None or not _of_prefect(parent)
    return False


def runs_a_flow(pid: int) -> bool:
    """Whether there is a process of this number that could be a run's: a number is used again."""
    try:
        return _of_prefect(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def end(holders: Collection[Holder], processes: Processes, grace: float = GRACE_SECONDS) -> None:
    """Asks them to end, and waits: what they had begun is undone. Kills those that are still there after that time."""
    deadline = time.monotonic() + grace
    asked = [(holder, fd) for holder in holders if (fd := _ask(holder, processes)) is not None]
    for holder, fd in asked:
        try:
            if not _ended(fd, max(0.0, deadline - time.monotonic())):
                processes.kill(holder)
        finally:
            os.close(fd)


def _ask(holder: Holder, processes: Processes) -> int | None:
    try:
        fd = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return None
    if processes.alive(holder):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(fd, signal.SIGTERM)
            return fd
    os.close(fd)
    return None


def _ended(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _of_prefect(process: psutil.Process) -> bool:
    try:
        return any("prefect" in word for word in process.cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.ZombieProcess:
        return False
