"""What a sync did with the data, fit to be shown: no value of any row is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is: `stage` is copy, finish, disarm or prove; rows of the table so far, of `of` rows."""

    stage: str
    table: str = ""
    rows: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """One column: its mask, and the reason that the policy gives."""

    name: str
    mask: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table. `action`: copy, truncate or rebuild; `rows` copied, of `source_rows`."""

    name: str
    action: str
    rows: int
    source_rows: int
    columns: tuple[ColumnReport, ...]
    keep_rows: str = ""
    """Why some rows passed unmasked, and how many there were of them:"""
    kept_rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows of the copy's column that hold an original of a masked column."""

    table: str
    column: str
    rows: int

    def __str__(self) -> str:
        return f"{self.table}.{self.column} ({self.rows:,} row{'s' if self.rows != 1 else ''})"


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The whole sync. `coincidences`: cells that hold an invented or common value that is also somebody's original.

    `quasi_identifiers`: kept columns that together can point at a person. `key`: a stable key's fingerprint, else empty.
    """

    tables: tuple[TableReport, ...]
    seconds: Mapping[str, float]
    leaks: int = 0
    coincidences: int = 0
    quasi_identifiers: tuple[str, ...] = ()
    disarmed: int = 0
    assertions: int = 0
    key: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "rows": self.rows}
