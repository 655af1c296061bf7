"""What the dispatcher does, one duty in each file: `EVERY` seconds it calls `run`.

A duty keeps nothing in memory that matters: what it has done is in the state database, and one that was cut short is
done again.
"""

from __future__ import annotations

from typing import Protocol

from branchline.launch.duties import announcements, forms, push_care, pushes, releases, sweep, tables
from branchline.launch.server import Server
from branchline.platform import Platform


class Duty(Protocol):
    """A module of this package."""

    @property
    def EVERY(self) -> float: ...  # noqa: N802 - as the modules spell their constant
    def run(self, platform: Platform, server: Server) -> None: ...


DUTIES: tuple[Duty, ...] = (announcements, forms, push_care, pushes, releases, sweep, tables)
"""All of them. Each runs in a thread of its own; a new one is a file, and its name here."""


def name_of(duty: Duty) -> str:
    """In a log."""
    return getattr(duty, "__name__", type(duty).__name__).rpartition(".")[2]
