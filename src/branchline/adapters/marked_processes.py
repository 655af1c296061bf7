"""Finds processes by an entry of their environment, and ends them and all below them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from branchline.errors import Unavailable

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    started: int


def end_marked(entry: bytes) -> None:
    """Ends every process with `NAME=value` in its environment, and its descendants; returns when all are gone.

    Zombies count as gone. Raises Unavailable (408) when one is still there after ten seconds of SIGKILL.
    """
    deadline = time.monotonic() + _PATIENCE
    while found := _marked_and_below(entry) or _marked_shortly_after(entry):
        ending = [fd for process in found if (fd := _kill(process)) is not None]
        try:
            for fd in ending:
                wait_ended(fd, max(0.0, min(1.0, deadline - time.monotonic())))
        finally:
            for fd in ending:
                os.close(fd)
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in found)
            raise Unavailable(
                408, f"Processes do not end when killed: {pids}.", "look at them with ps, then repeat"
            )
        if not ending:
            time.sleep(0.01)


def wait_ended(pidfd: int, timeout: float | None) -> bool:
    """Waits for the end of a process, at most so many seconds; whether it has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def _marked_shortly_after(entry: bytes) -> list[_Process]:
    """A program that is just being started has no environment yet for a moment."""
    time.sleep(0.02)
    return _marked_and_below(entry)


def _marked_and_below(entry: bytes) -> list[_Process]:
    processes = {process.pid: process for process in _all_processes()}
    wanted = {pid for pid in processes if _has(pid, entry)}
    size = 0
    while len(wanted) != size:
        size = len(wanted)
        wanted |= {process.pid for process in processes.values() if process.parent in wanted}
    return [processes[pid] for pid in wanted - {os.getpid()}]


def _all_processes() -> Iterator[_Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough
        if name.isdecimal() and (process := _read(int(name))) is not None:
            yield process


def _read(pid: int) -> _Process | None:
    try:
        fields = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    state, parent, started = fields[0], int(fields[1]), int(fields[19])
    return None if state in b"ZX" else _Process(pid, parent, started)


def _has(pid: int, entry: bytes) -> bool:
    try:
        return entry in Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill(process: _Process) -> int | None:
    """A pidfd of the process that got SIGKILL, or None when it was gone; never another that took its number."""
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return None
    now = _read(process.pid)
    if now is not None and now.started == process.started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            return fd
    os.close(fd)
    return None
