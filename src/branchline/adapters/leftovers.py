"""Temporary files and directories whose names tell which process made them.

A process that is killed cannot tidy up. Whoever comes later finds what it left by name alone, and can tell
it from the temporary of a process that is still at work.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import stat
from pathlib import Path


def owned_name(stem: str) -> str:
    """A name nobody else uses: `<stem>@<host>@<pid>@<start of the process, in clock ticks>@<random>`."""
    pid = os.getpid()
    return "@".join((stem, socket.gethostname(), str(pid), str(_started(pid)), secrets.token_hex(4)))


def is_leftover(name: str) -> bool:
    """Whether the name is one of `owned_name`'s, made on this host by a process that has ended."""
    match name.rsplit("@", 4):
        case [_, host, pid, started, _] if host == socket.gethostname() and pid.isdecimal():
            return str(_started(int(pid))) != started
    return False


def remove_tree(directory: Path) -> None:
    """Removes a directory and all in it, read-only directories included. Content when it is gone, or when
    somebody else removes it at the same time.
    """
    while directory.is_symlink() or directory.exists():
        with contextlib.suppress(FileNotFoundError):
            if directory.is_symlink() or not directory.is_dir():
                directory.unlink()
            else:
                _make_removable(directory)
                shutil.rmtree(directory)


def _make_removable(directory: Path) -> None:
    directory.chmod(stat.S_IRWXU)
    for parent, names, _ in os.walk(directory):
        for name in names:
            inner = Path(parent, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IRWXU)


def _started(pid: int) -> int | None:
    try:
        fields = Path("/proc", str(pid), "stat").read_bytes()
    except OSError:
        return None
    return int(fields.rpartition(b")")[2].split()[19])
