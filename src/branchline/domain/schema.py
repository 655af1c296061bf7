"""What a database's tables look like, as far as copying and masking them needs to know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

UUID_DIGITS = 32
Kind = Literal["text", "json", "integer", "number", "binary", "time", "ip", "uuid", "other", "any"]
"""What a column is declared to hold. `other`: text that must keep a form (an enum, an array, a range); `any`: the engine does
not say (SQLite without a type, for example).
"""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unique`: it takes part in a primary key or a unique index, so that masked values must not meet.
    `length`: the most characters that it can hold, `highest`: the highest whole number, `scale`: the most digits behind the
    point; None where nothing limits it.
    """

    name: str
    declared: str
    kind: Kind
    nullable: bool = True
    unique: bool = False
    key: bool = False
    generated: bool = False
    length: int | None = field(default=None, repr=False)
    highest: int | None = field(default=None, repr=False)
    scale: int | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """These columns of a table hold values of those columns of another."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table in the order of its columns.

    `module` names what answers for a virtual table; such a table has no rows of its own to copy. `unsupported` says
    why its rows cannot be copied.
    """

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    module: str = ""
    unsupported: str = ""

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns that hold values of their own: a generated one follows from others."""
        return tuple(column for column in self.columns if not column.generated)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables by name. `problems` are things that no policy can decide, each a sentence. `strict`: no column can hold
    anything but what it declares.
    """

    tables: Mapping[str, Table]
    problems: tuple[str, ...] = ()
    strict: bool = False

    @property
    def fingerprint(self) -> str:
        """Equal for equal tables: what a rollback compares to know whether older code fits."""
        return hashlib.sha256(repr(sorted(self.tables.items())).encode()).hexdigest()[:16]
