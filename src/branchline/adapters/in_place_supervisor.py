"""Runs a command and ends with it, leaving nothing behind: no daemon outlives its command.

Run as a program, with the number of the process that started it, a directory and the command. It adopts every orphan
among its descendants, so that even one that left its session and emptied its environment is found and
killed. It does the same when it gets SIGTERM, and the kernel sends it that when its parent ends.
Standard library only, and none of Branchline: it starts in an empty environment.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    _libc.prctl(option, value, 0, 0, 0)


def _ended(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _run(command: list[str]) -> int:
    child = os.fork()
    if child == 0:
        try:
            for number in (signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):  # as Python found them
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.execvp(command[0], command)  # noqa: S606
        finally:
            os._exit(127)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _children() -> list[int]:
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough
        if name.isdecimal():
            with contextlib.suppress(OSError):
                fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[1]) == os.getpid():
                    found.append(int(name))
    return found


def _kill_descendants() -> None:
    while True:
        for pid in _children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def main() -> NoReturn:
    parent, directory, *command = sys.argv[1:]
    signal.signal(signal.SIGTERM, _ended)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    code = 128 + signal.SIGTERM
    try:
        if os.getppid() == int(parent):
            os.chdir(directory)
            code = _run(command)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _kill_descendants()
        os._exit(code)


if __name__ == "__main__":
    main()
