"""What private servers for tests need of this machine, whichever engine's they are."""

import ctypes
import os
import pwd
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PDEATHSIG = 1


def user(name: str) -> str:
    """As whom a server runs that does not run as root: its own user, where the machine has one."""
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    return "nobody"


def directory_for_all() -> str:
    """Where another user gets in too: the temporary directory, unless one above it is closed to others."""
    wanted = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in (wanted, *wanted.parents)):
        return str(wanted)
    return "/tmp"


def dying_with_parent(ended_by: signal.Signals) -> Callable[[], None]:
    """To be called in a child before its program begins."""
    return lambda: ctypes.CDLL(None).prctl(PDEATHSIG, ended_by)
