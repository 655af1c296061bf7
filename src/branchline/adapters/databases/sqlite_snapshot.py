"""Reading an SQLite database at one moment, a few columns at a time.

A row-by-row read costs a Python object per value. Where a block holds only text (or only integers) and NULL, SQLite
joins each column into one string and Polars splits it: measured at less than half the time, and it does not hold the
interpreter's lock. Anything else is read the plain way.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values are bound, conditions were probed

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from branchline.adapters.databases.ordering import newest_first, not_before
from branchline.adapters.databases.sqlite_connection import identifier, same_moment, scrubbed, without_values
from branchline.adapters.databases.sqlite_schema import Address, address, kind_of, quoted, read_schema
from branchline.domain.schema import Schema
from branchline.errors import Failed
from branchline.ports import Block

SEPARATOR, NULL_MARK = "\x1f", "\x1a"
MOST_ROWS, FEWEST_ROWS = 65_536, 256
BLOCK_BYTES = 16 * 2**20
_DIGEST = "branchline_digest"
_DTYPES: Mapping[str, type[pl.DataType]] = {"text": pl.String, "integer": pl.Int64}


@dataclass(frozen=True, slots=True)
class Span:
    """A block of a table with rowids: all rows from first to last that were asked for. `rowids` is None when none is missing."""

    first: int
    last: int
    rowids: pl.Series | None

    def rowid(self, position: int) -> int:
        """Of the block's row at a position."""
        return self.first + position if self.rowids is None else int(self.rowids[position])


@dataclass(frozen=True, slots=True)
class Keys:
    """A block of a table that is addressed by its primary key."""

    values: list[tuple[Any, ...]]


class SqliteSnapshot:
    """Two connections on one state: one reads blocks, the other is for a loader that copies beside it."""

    notes = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection, self.copying = same_moment(path, 2)
        for each in (self.connection, self.copying):
            each.create_function(_DIGEST, -1, _digest, deterministic=True)

    def close(self) -> None:
        self.connection.close()
        self.copying.close()

    def schema(self) -> Schema:
        with scrubbed(f"reading the schema of {self.path.name}"):
            return read_schema(self.connection)
        raise AssertionError

    def count(self, table: str, where: str = "") -> int:
        with scrubbed(f"counting rows of {table}"):
            sql = f"SELECT count(*) FROM {identifier(table)} WHERE {where_clause(where)}"
            return int(self.connection.execute(sql).fetchone()[0])
        raise AssertionError

    def estimate(self, table: str) -> int:
        return self.count(table)

    def probe(self, table: str, condition: str) -> str:
        if not _one_expression(condition):
            return "it is not one SQL expression"
        try:
            sql = f"EXPLAIN SELECT 1 FROM {identifier(table)} WHERE ({condition}\n)"
            self.connection.execute(sql).fetchall()
        except sqlite3.Error as error:
            return without_values(error)
        return ""

    def cells(
        self, table: str, column: str, locator: object, rows: Sequence[int], masked: Collection[str]
    ) -> Sequence[str | None] | None:
        found = address(self.connection, table)
        if isinstance(locator, Span) and found.alias not in masked:
            which, sought = f"{identifier(found.rowid)} = ?", [(locator.rowid(row),) for row in rows]
        elif isinstance(locator, Keys) and not set(found.key) & set(masked):
            which = " AND ".join(f"{identifier(name)} IS ?" for name in found.key)
            sought = [locator.values[row] for row in rows]
        else:
            return None
        sql = f"SELECT CAST({identifier(column)} AS TEXT) FROM {identifier(table)} WHERE {which}"
        with scrubbed(f"reading {table}"), _any_text(self.connection):
            answers = (self.connection.execute(sql, key).fetchone() for key in sought)
            return [answer and answer[0] for answer in answers]
        raise AssertionError

    def equal(self, column: str, others: Sequence[str]) -> str:
        name = identifier(column)
        return f"{name} COLLATE NOCASE IN ({quoted(list(others))}) AND {name} <> ''"

    def rows(self, table: str) -> str:
        return f"main.{identifier(table)}"

    def quoted(self, name: str) -> str:
        return identifier(name)

    def digest(self, values: Sequence[str]) -> str:
        return f"{_DIGEST}({', '.join(values)})"

    def newest(self, table: str, by: str, rows: int, where: str = "") -> str:
        key = [identifier(name) for name in address(self.connection, table).key]
        values = ", ".join(f"quote({name})" for name in (identifier(by), *key))
        found = f"FROM {identifier(table)} WHERE {where_clause(where)}"
        with scrubbed(f"looking for the newest rows of {table}"):
            sql = (
                f"SELECT {identifier(by)} IS NULL, {values} {found} {newest_first(identifier(by), key, rows)}"
            )
            row = self.connection.execute(sql).fetchone()
        if row is None:
            return ""
        without, mark, *keys = row
        return not_before(identifier(by), key, None if without else mark, keys)

    def texts(self, query: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with scrubbed("following foreign keys"):
            cursor = self.connection.execute(query)
            while rows := cursor.fetchmany(MOST_ROWS):
                yield pl.DataFrame([[str(value) for value in row] for row in rows], list(names), orient="row")

    def blocks(
        self, table: str, columns: Sequence[str], *, where: str = "", keep: str = ""
    ) -> Iterator[Block]:
        with scrubbed(f"reading {table}"):
            found = address(self.connection, table)
            reader = _Reader(self.connection, table, tuple(columns), found, where, keep)
            yield from reader.spans() if found.rowid else reader.keys()


@contextmanager
def opened(path: Path) -> Iterator[SqliteSnapshot]:
    """A snapshot for the time of the context."""
    snapshot = SqliteSnapshot(path)
    try:
        yield snapshot
    finally:
        snapshot.close()


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Text that is not UTF-8 is read with escapes in it."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    try:
        yield
    finally:
        connection.text_factory = str


def _digest(*values: object) -> str:
    return hashlib.blake2b(repr(values).encode(errors="surrogatepass")).hexdigest()[:15]


def where_clause(where: str) -> str:
    return f"({where}\n)" if where else "1"


def _one_expression(text: str) -> bool:
    """Whether parentheses around it cannot be left: they would otherwise let a second SELECT in."""
    depth, quote = 0, ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`[":
            quote = "]" if character == "[" else character
        elif character == ";" or text[position : position + 2] in ("--", "/*"):
            return False
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth < 0:
                return False
    return depth == 0 and not quote


class _Reader:
    def __init__(
        self,
        connection: sqlite3.Connection,
        table: str,
        columns: tuple[str, ...],
        found: Address,
        where: str,
        keep: str,
    ) -> None:
        self.connection, self.table, self.columns, self.address = connection, table, columns, found
        self.source = identifier(table)
        self.rowid = identifier(found.rowid) if found.rowid else ""
        self.where, self.keep = where_clause(where), keep
        self.rows = 4096
        declared = dict(
            connection.execute("SELECT name, type FROM pragma_table_xinfo(?)", (table,)).fetchall()
        )
        self.kinds = {column: kind_of(declared[column]) for column in columns}
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        self.joins = encoding == "UTF-8" and set(self.kinds.values()) <= _DTYPES.keys() and bool(columns)
        self.dense = not where
        self.with_nulls: set[str] = set()

    def spans(self) -> Iterator[Block]:
        sql = f"SELECT min({self.rowid}) FROM {self.source}"
        first = self._one(sql)
        highest = self._one(f"SELECT max({self.rowid}) FROM {self.source}")
        while first is not None:
            block = self._next(first, highest)
            self._adapt(block.frame)
            if block.frame.height or not self.columns:
                yield block
            last = block.locator.last  # type: ignore[attr-defined]
            first = self._one(f"SELECT min({self.rowid}) FROM {self.source} WHERE {self.rowid} > ?", last)

    def _next(self, first: int, highest: int) -> Block:
        """The block that begins at a rowid: in one pass as long as no rowid is missing."""
        if self.joins and self.dense:
            last = min(first + self.rows - 1, highest)
            block = self._joined(first, last, last - first + 1)
            if block is not None:
                return block
        sql = f"SELECT {self.rowid} FROM {self.source} WHERE {self.rowid} >= ? ORDER BY {self.rowid} LIMIT 1 OFFSET ?"
        last = self._one(sql, first, self.rows - 1) or highest
        return (self._joined(first, last) if self.joins else None) or self._fetched(first, last)

    def keys(self) -> Iterator[Block]:
        key = self.address.key
        select = ", ".join([*map(identifier, key), self._kept(), *map(identifier, self.columns)])
        cursor = self.connection.execute(f"SELECT {select} FROM {self.source} WHERE {self.where}")
        while rows := cursor.fetchmany(self.rows):
            block = self._block([row[len(key) :] for row in rows], Keys([row[: len(key)] for row in rows]))
            self._adapt(block.frame)
            yield block

    def _one(self, sql: str, *values: object) -> Any:
        row = self.connection.execute(sql, values).fetchone()
        return row[0] if row else None

    def _kept(self) -> str:
        return f"coalesce(({self.keep}\n) <> 0, 0)" if self.keep else "0"

    def _adapt(self, frame: pl.DataFrame) -> None:
        bytes_per_row = max(frame.estimated_size() / max(frame.height, 1), 1.0)
        fitting = int(BLOCK_BYTES / bytes_per_row)
        self.rows = max(FEWEST_ROWS, min(MOST_ROWS, self.rows * 8, fitting))

    def _joined(self, first: int, last: int, expected: int = 0) -> Block | None:
        """Columns joined by SQLite; None where that does not work, or where not all of the `expected` rows are there."""
        try:
            row = self._concatenated(first, last, dense=bool(expected))
        except sqlite3.OperationalError:
            return None  # text that is not UTF-8: the plain way copes with it
        rows, rowids, keep, values = row[0], row[1], row[2], row[3:]
        if expected and rows != expected:
            self.dense = False
            return None
        nulls = {name: rows - filled for name, filled in zip(self.columns, values[1::2], strict=True)}
        unmarked = {name for name, count in nulls.items() if count} - self.with_nulls
        if unmarked:
            self.with_nulls |= unmarked
            return self._joined(first, last, expected)
        series = []
        for name, text in zip(self.columns, values[::2], strict=True):
            column = _split(name, text, rows, nulls[name], _DTYPES[self.kinds[name]])
            if column is None:
                return None
            series.append(column)
        complete = last - first + 1 == rows
        span = Span(first, last, None if complete else _split("rowid", rowids, rows, 0, pl.Int64))
        flags = pl.Series("keep", (keep or "").split(SEPARATOR)) == "1" if self.keep and rows else None
        return Block(pl.DataFrame(series), flags, span)

    def _concatenated(self, first: int, last: int, *, dense: bool) -> tuple[Any, ...]:
        """Rows, rowids, flags, and each column's text and how many of its values are not NULL."""
        joined = f"group_concat({{}}, '{SEPARATOR}')"
        columns = []
        for column in self.columns:
            name = identifier(column)
            marked = f"ifnull({name}, '{NULL_MARK}')" if column in self.with_nulls else name
            columns.append(f"{joined.format(marked)}, count({name})")
        rowids = "NULL" if dense else joined.format(self.rowid)
        keep = joined.format(self._kept()) if self.keep else "NULL"
        select = ", ".join(["count(*)", rowids, keep, *columns])
        sql = f"SELECT {select} FROM {self.source} WHERE {self.rowid} BETWEEN ? AND ? AND {self.where}"
        row: tuple[Any, ...] = self.connection.execute(sql, (first, last)).fetchone()
        return row

    def _fetched(self, first: int, last: int) -> Block:
        select = ", ".join([self.rowid, self._kept(), *map(identifier, self.columns)])
        sql = f"SELECT {select} FROM {self.source} WHERE {self.rowid} BETWEEN ? AND ? AND {self.where}"
        try:
            rows = self.connection.execute(sql, (first, last)).fetchall()
        except sqlite3.OperationalError:
            rows = self._undecodable(sql, first, last)
        span = Span(first, last, pl.Series("rowid", [row[0] for row in rows], pl.Int64))
        return self._block([row[1:] for row in rows], span)

    def _undecodable(self, sql: str, first: int, last: int) -> list[tuple[Any, ...]]:
        with _any_text(self.connection):
            return self.connection.execute(sql, (first, last)).fetchall()
        raise AssertionError

    def _block(self, rows: list[tuple[Any, ...]], locator: Span | Keys) -> Block:
        across = list(zip(*rows, strict=True)) or [()] * (len(self.columns) + 1)
        flags = pl.Series("keep", across[0], pl.Int64).cast(pl.Boolean) if self.keep else None
        frame = pl.DataFrame(
            [_series(name, values) for name, values in zip(self.columns, across[1:], strict=True)]
        )
        return Block(frame, flags, locator)


def _split(
    name: str, text: str | None, rows: int, nulls: int, dtype: type[pl.DataType] = pl.String
) -> pl.Series | None:
    """A joined column in its values again; None when a value itself held the marks that join them."""
    if rows == 0:
        return pl.Series(name, [], dtype)
    column = pl.Series(name, [text], pl.String).str.split(SEPARATOR).explode()
    if column.len() != rows:
        return None
    if nulls or NULL_MARK in (text or ""):
        marked = column == NULL_MARK
        if int(marked.sum()) != nulls:
            return None
        column = pl.select(pl.when(~marked).then(column).alias(name)).to_series()
    typed = column.cast(dtype, strict=False)
    return typed if typed.null_count() == nulls else None


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    types = {type(value) for value in values} - {type(None)}
    if bytes in types:
        return pl.Series(name, [_bytes(value) for value in values], pl.Binary)
    if types == {int}:
        return pl.Series(name, values, pl.Int64)
    if types in ({float}, {int, float}):
        return pl.Series(name, values, pl.Float64, strict=False)
    return pl.Series(name, [value if value is None else str(value) for value in values], pl.String)


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return str(value).encode()


def rows_missing(table: str, expected: int, written: int) -> Failed:
    """For a block of which other rows were written than read."""
    what = f"{expected:,} rows of {table} were read and {written:,} written"
    return Failed(
        515, f"{what}: a row could not be found again by its key.", "Report this with the table's definition."
    )
