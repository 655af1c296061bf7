"""The most memory that a process has had, by the kernel's own record."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def high_water(process: int | str) -> int:
    """Bytes: VmHWM, which unlike ru_maxrss begins anew with exec. 0 for a process that is gone."""
    with suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    return 0
