"""Processes on this host: which one this is, whether another still lives, and its end."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import psutil

from branchline.domain.activity import Holder
from branchline.errors import Failed

_END_SECONDS = 10
_START_FIELD = 19
"""Place of `starttime` among the fields of /proc/PID/stat behind the command's name (proc(5), field 22)."""


class LocalProcesses:
    """Answers for this host only. A process is known by its number, the boot, and its start in ticks since that
    boot: psutil's start time moves when somebody sets the clock, and a living process would look dead.
    """

    def this(self) -> Holder:
        return Holder(platform.node(), _boot(), os.getpid(), _started(os.getpid()))

    def is_here(self, holder: Holder) -> bool:
        """Whether this host can be asked about it."""
        return holder.host == platform.node()

    def alive(self, holder: Holder) -> bool:
        """Whether exactly that process lives: a pid used again after its end, or after a boot, is another."""
        return self._find(holder) is not None

    def kill(self, holder: Holder) -> None:
        """Ends the process and all that descend from it; content when it is gone. A stopped one ends too.

        Raises Failed: 312 when it does not end, 315 when it may not be ended.
        """
        process = self._find(holder)
        if process is None:
            return
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
            except psutil.AccessDenied:
                raise Failed(
                    315,
                    f"Process {member.pid} of another user cannot be ended from here.",
                    "run it as that user, or as root",
                ) from None
        deadline = time.monotonic() + _END_SECONDS
        while any(_lives(member) for member in family):
            if time.monotonic() > deadline:
                raise Failed(
                    312,
                    f"Process {holder.pid} does not end although it was killed.",
                    "see what it waits for: cat /proc/PID/stack; then branchline recover",
                )
            time.sleep(0.01)

    def _find(self, holder: Holder) -> psutil.Process | None:
        if not self.is_here(holder) or holder.boot != _boot():
            return None
        try:
            process = psutil.Process(holder.pid)
            same = _started(holder.pid) == holder.pid_started
            return process if same and _lives(process) else None
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _started(pid: int) -> float:
    stat = Path("/proc", str(pid), "stat").read_bytes()
    return float(stat.rpartition(b")")[2].split()[_START_FIELD])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
