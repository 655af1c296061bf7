"""The processes that `branchline up` keeps running. They end with it, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from branchline.errors import Failed

STOP_SECONDS = 20.0
"""From being asked to end to being killed."""
MOST_ENDS, WITHIN_SECONDS = 5, 300.0
"""Of one process, before it is given up."""
LONGEST_LOG = 20_000_000
"""Bytes of what a process prints; then they go to a second file, and it begins anew."""

_TIED = """\
import ctypes, os, signal, sys
parent, number = int(sys.argv[1]), int(sys.argv[2])
ctypes.CDLL(None).prctl(1, number)
if os.getppid() != parent:
    sys.exit(1)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Runs a program that gets a signal when the process that started it is gone (PR_SET_PDEATHSIG)."""


@dataclass
class Child:
    """One process, started again when it ends.

    `orphaned` is the signal it gets when `up` is killed. A process is started with SIGINT as it is by default, whatever
    the terminal or script did with it, and is out of reach of a terminal's Ctrl-C.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    orphaned: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_ENDS))
    start_at: float = 0.0

    def start(self) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        tie = [sys.executable, "-c", _TIED, str(os.getpid()), str(int(self.orphaned))]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [*tie, *self.arguments],
                env=dict(self.environment),
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> str | None:
        """Starts it again when its time has come; in words when it has just ended. Raises Failed (354) to give up."""
        _shorten(self.log)
        now = time.monotonic()
        if self.process is None:
            if now >= self.start_at:
                self.start()
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        self.ends.append(now)
        if len(self.ends) == MOST_ENDS and now - self.ends[0] < WITHIN_SECONDS:
            raise self.gave_up(f"ended {MOST_ENDS} times within {WITHIN_SECONDS / 60:g} minutes")
        wait = 2.0 ** (len(self.ends) - 1)
        self.start_at = now + wait
        return f"the {self.name} ended with {code}; it is started again in {wait:g} s"

    def gave_up(self, what: str) -> Failed:
        """With the last that it said."""
        said = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
        return Failed(354, f"The {self.name} {what}. It said: {last[:300]}", f"read {self.log}")

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Asks it to end, and ends it when it does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _shorten(log: Path) -> None:
    """The process goes on writing to the same file, at its end."""
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        shutil.copyfile(log, log.with_suffix(".1.log"))
        os.truncate(log, 0)
