"""An SQLite database's tables as the rules see them."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

from branchline.adapters.databases.sqlite_connection import identifier
from branchline.domain.schema import Column, ForeignKey, Kind, Schema, Table

_EXPRESSION = -2
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Address:
    """How the rows of a table are found again: by rowid under an unshadowed name, or by the primary key of a table without."""

    rowid: str
    alias: str
    key: tuple[str, ...]


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Tables with their columns and keys. Shadow tables belong to their virtual table and are left out."""
    listed = connection.execute(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'"
    ).fetchall()
    kinds = {name: kind for name, kind, _ in listed if not name.startswith("sqlite_")}
    tables = {
        name: _table(connection, name, virtual=kind == "virtual")
        for name, kind in sorted(kinds.items())
        if kind in ("table", "virtual")
    }
    return Schema(tables)


def address(connection: sqlite3.Connection, table: str) -> Address:
    """Where to find a table's rows; without rowid and key both when there is no way."""
    columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,)).fetchall()
    (without_rowid,) = connection.execute(
        "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,)
    ).fetchone()
    key = tuple(name for name, _, pk in sorted(columns, key=lambda row: row[2]) if pk)
    if without_rowid:
        return Address("", "", key)
    taken = {name.lower() for name, _, _ in columns}
    alias = (
        key[0] if len(key) == 1 and any(n == key[0] and t.upper() == "INTEGER" for n, t, _ in columns) else ""
    )
    rowid = alias or next((name for name in _ROWID_NAMES if name not in taken), "")
    return Address(rowid, alias, key)


def kind_of(declared: str) -> Kind:
    """By SQLite's own rules of affinity: https://www.sqlite.org/datatype3.html#determination_of_column_affinity."""
    text = declared.upper()
    if "INT" in text:
        return "integer"
    if any(word in text for word in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not text or text == "ANY":
        return "any"
    if "BLOB" in text:
        return "binary"
    if any(word in text for word in ("DATE", "TIME", "JSON", "UUID", "STRING")):
        return "any"  # NUMERIC to SQLite, text to everybody who writes such a type
    return "number"


def _table(connection: sqlite3.Connection, name: str, *, virtual: bool) -> Table:
    rows = connection.execute(
        'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (name,)
    ).fetchall()
    if virtual:
        return Table(name, (), module=_module(connection, name))
    unique = _unique_columns(connection, name, [row[0] for row in rows])
    columns = tuple(
        Column(
            name=column,
            declared=declared,
            kind=kind_of(declared),
            nullable=not notnull,
            unique=bool(pk) or column in unique,
            key=bool(pk),
            generated=hidden in (2, 3),
            length=_length(declared),
        )
        for column, declared, notnull, pk, hidden in rows
        if hidden != 1
    )
    where = address(connection, name)
    unsupported = (
        ""
        if where.rowid or where.key
        else "it has neither a key nor a rowid by which its rows could be found"
    )
    return Table(name, columns, _foreign_keys(connection, name), unsupported=unsupported)


def _length(declared: str) -> int | None:
    """SQLite does not keep to it; other engines do, and masked values should be the same there."""
    found = re.search(r"CHAR[A-Z]*\s*\((\d+)\)", declared, re.IGNORECASE)
    return int(found.group(1)) if found else None


def _unique_columns(connection: sqlite3.Connection, table: str, columns: list[str]) -> set[str]:
    found: set[str] = set()
    indexes = connection.execute('SELECT name FROM pragma_index_list(?) WHERE "unique"', (table,)).fetchall()
    for (index,) in indexes:
        members = connection.execute("SELECT cid, name FROM pragma_index_info(?)", (index,)).fetchall()
        found.update(name for _, name in members if name is not None)
        if any(cid == _EXPRESSION for cid, _ in members):  # an expression: whatever column it speaks of
            sql = (
                connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()[0]
                or ""
            )
            found.update(name for name in columns if name.lower() in sql.lower())
    return found


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    rows = connection.execute(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
    ).fetchall()
    grouped: dict[int, list[tuple[str, str, str | None]]] = defaultdict(list)
    for number, referred, column, to in rows:
        grouped[number].append((referred, column, to))
    return tuple(
        ForeignKey(
            tuple(column for _, column, _ in members),
            members[0][0],
            tuple(to for _, _, to in members if to is not None) or _primary_key(connection, members[0][0]),
        )
        for members in grouped.values()
    )


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))
    return tuple(name for (name,) in rows)


def _module(connection: sqlite3.Connection, name: str) -> str:
    sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
    found = re.search(r"USING\s+(\w+)", sql, re.IGNORECASE)
    module = found.group(1).lower() if found else "unknown"
    external = re.search(r"content\s*=\s*['\"]?\s*[\w]", sql, re.IGNORECASE)
    return f"{module} with external content" if module in ("fts4", "fts5") and external else module


def quoted(columns: list[str] | tuple[str, ...], prefix: str = "") -> str:
    """Names in a row, each with a prefix such as `s.`."""
    return ", ".join(prefix + identifier(name) for name in columns)
