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
_START_TOLERANCE_SECONDS = 0.05
"""psutil computes a start time from the boot time, which can shift by rounding."""


class LocalProcesses:
    """Answers for this host only."""

    def this(self) -> Holder:
        return Holder(platform.node(), _boot(), os.getpid(), psutil.Process().create_time())

    def is_here(self, holder: Holder) -> bool:
        """Whether this host can be asked about it."""
        return holder.host == platform.node()

    def alive(self, holder: Holder) -> bool:
        """Whether exactly that process lives: a pid used again after its end, or after a boot, is another."""
        return self._find(holder) is not None

    def kill(self, holder: Holder) -> None:
        """Ends the process and all that descend from it; content when it is gone. A stopped one ends too."""
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
            if abs(process.create_time() - holder.pid_started) > _START_TOLERANCE_SECONDS:
                return None
            return process if _lives(process) else None
        except psutil.NoSuchProcess:
            return None


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
