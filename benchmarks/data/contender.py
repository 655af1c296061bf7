"""Whoever makes a copy, and the check that it made one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.data.commands import DidNotRun
from benchmarks.data.profiles import Profile, Table
from benchmarks.data.server import Server

LOOKED_AT = 500
"""Rows of each table that are compared value for value after each run."""
COINCIDENCES = 0.02
"""Of masked values: a name that is drawn from a list is the old one now and then."""


@dataclass(frozen=True)
class Job:
    """One copy from a database to an empty one. `scratch`: a directory that goes away afterwards."""

    server: Server
    profile: Profile
    source: str
    target: str
    scratch: Path


class Contender(Protocol):
    """One way to make a copy."""

    @property
    def name(self) -> str:
        """With its version, where it has one of its own."""

    @property
    def masks(self) -> bool:
        """Whether its copies must be sanitized."""

    def run(self, job: Job) -> Mapping[str, float]:
        """Seconds: `all`, and those of its parts where they are known. Raises DidNotRun."""


@dataclass(frozen=True)
class PlainCopy:
    """The engine's own dump, piped into its own client: what all others are compared with."""

    name: str
    masks: bool = False

    def run(self, job: Job) -> Mapping[str, float]:
        return {"all": job.server.copy(job.source, job.target)}


def check(job: Job, *, masks: bool) -> str:
    """Raises DidNotRun when rows are missing, a kept value changed or a masked one did not; gives what the copy lacks."""
    for table in job.profile.tables:
        [[count]] = job.server.rows(job.target, f"SELECT COUNT(*) FROM {table.name}")
        if int(count) != table.rows:
            raise DidNotRun(f"{table.name} has {count} of {table.rows} rows")
        _compare(job, table, masks=masks)
    missing = set(job.server.indexes(job.source)) - set(job.server.indexes(job.target))
    return "; ".join(sorted(f"{table} lacks {what}" for table, what in missing))


def _compare(job: Job, table: Table, *, masks: bool) -> None:
    every = max(1, table.rows // LOOKED_AT)
    query = f"SELECT * FROM {table.name} WHERE MOD({table.key}, {every}) = 0 ORDER BY {table.key}"
    before, after = job.server.rows(job.source, query), job.server.rows(job.target, query)
    for number, name in enumerate(table.columns):
        pairs = [(old[number], new[number]) for old, new in zip(before, after, strict=True)]
        present = [pair for pair in pairs if pair[0] != "NULL"]
        if not masks or name not in table.masked:
            if any(old != new for old, new in pairs):
                raise DidNotRun(f"{table.name}.{name} arrived changed")
        elif sum(old == new for old, new in present) > COINCIDENCES * len(present) + 1:
            raise DidNotRun(f"{table.name}.{name} arrived unmasked")
