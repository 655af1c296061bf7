"""Which rows refer to which: foreign keys between the tables of one database, and where they lead round in a circle."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from branchline.domain.schema import Schema


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: these columns of a table, and those of the `other` that hold the same where none of these is NULL."""

    table: str
    columns: tuple[str, ...]
    other: str
    referred: tuple[str, ...]


References = Mapping[str, tuple[Reference, ...]]
"""By the table that refers."""


def references(schema: Schema, tables: Collection[str]) -> References:
    """Of these tables, to any table that there is. SQLite tells no capitals apart in a foreign key's table."""
    known = {name.lower(): name for name in schema.tables}
    return {
        name: tuple(
            Reference(name, key.columns, known[key.table.lower()], key.referred)
            for key in schema.tables[name].foreign_keys
            if key.table.lower() in known and len(key.columns) == len(key.referred)
        )
        for name in tables
    }


def circles(given: References) -> Mapping[str, frozenset[str]]:
    """For each table the tables that it can be reached from again, itself among them; nothing where there is no way back."""
    reached = {name: _reached(name, given) for name in given}
    return {
        name: frozenset(other for other in reached[name] if name in reached.get(other, ())) for name in given
    }


def _reached(start: str, given: References) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for reference in given.get(waiting.pop(), ()):
            if reference.other not in found:
                found.add(reference.other)
                waiting.append(reference.other)
    return found
