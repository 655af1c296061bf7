"""What a comparison asks of a database server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.data.profiles import Profile

Row = tuple[str, ...]
"""Values as the engine's own client prints them; NULL as `NULL`."""


@dataclass(frozen=True)
class Account:
    """How to get in. `socket`: a directory (PostgreSQL) or a socket (MariaDB) instead of host and port."""

    user: str
    password: str
    host: str
    port: int
    socket: str = ""


class Server(Protocol):
    """One server whose account may make databases. Those that are made here are called `branchline_bench_...`."""

    name: str
    reference: str
    """The plain copy that all are measured against, as people type it."""
    analyzed: bool
    """Whether Branchline gathers statistics of a copy here, which the plain copy leaves to the server."""
    account: Account
    environment: Mapping[str, str]
    """What the engine's own commands find the account by."""

    def versions(self) -> Sequence[str]:
        """Of the server and of its own tools."""

    def settings(self) -> Mapping[str, str]:
        """Those that decide about durability and memory."""

    def make(self, database: str) -> None:
        """An empty one."""

    def drop(self, database: str) -> None:
        """Content when it is gone; ends whoever is connected to it."""

    def fill(self, database: str, profile: Profile) -> None:
        """Tables, rows, indexes and keys of a profile."""

    def settle(self) -> None:
        """Writes out what earlier runs left in memory, so that it is nobody else's time."""

    def rows(self, database: str, query: str) -> Sequence[Row]:
        """What a query gives."""

    def dump(self, source: str) -> Sequence[str]:
        """The command that writes a plain copy to its output."""

    def copy(self, source: str, target: str) -> float:
        """Seconds of the plain copy into an empty database."""

    def copy_schema(self, source: str, target: str) -> float:
        """Seconds of the same without rows."""

    def indexes(self, database: str) -> Sequence[Row]:
        """(table, kind and columns) of every index, key and foreign key."""
