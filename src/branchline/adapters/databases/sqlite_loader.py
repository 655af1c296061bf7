"""Filling a new SQLite version from a snapshot so that the values of masked columns are written masked only.

The connection that copies has the source as its main database, opened `mode=ro`, and the new file attached: kept columns
go from page to page inside SQLite. Masked values meet their rows in one of two ways. Usually the values of a column are
joined into one padded string that is bound once per block, and each row takes its piece by its distance from the first
rowid: no Python object per value. Where rowids are sparse, values very long or not text, each row is a bound statement.
Nothing but masked values is ever in a parameter, and temporary tables stay in memory while the source is attached.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values are bound, conditions were probed

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from branchline.adapters.databases.sqlite_connection import connect, identifier, make_durable, scrubbed
from branchline.adapters.databases.sqlite_schema import Address, address, quoted
from branchline.adapters.databases.sqlite_snapshot import (
    Keys,
    Span,
    SqliteSnapshot,
    opened,
    rows_missing,
    where_clause,
)
from branchline.overlap import ahead
from branchline.ports import Block, MaskBlock, Snapshot

NULL_MARK = "\x1e"
WIDEST_JOIN = 48 * 2**20
_FORBIDDEN = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA}


class SqliteLoader:
    """One new version while it is filled."""

    jobs = 1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source: SqliteSnapshot | None = None
        self.target: sqlite3.Connection | None = None

    def close(self) -> None:
        if self.target is not None:
            self.target.close()
            self.target = None

    def begin(self, source: Snapshot) -> None:
        if not isinstance(source, SqliteSnapshot):
            raise TypeError("an SQLite version is filled from an SQLite snapshot")
        self.source = source
        with scrubbed("making the tables"):
            self._make_tables(source.connection)
            copying = source.copying
            copying.execute("ATTACH ? AS target", (f"file:{_uri(self.path)}?mode=rw",))
            copying.execute("PRAGMA target.journal_mode = OFF")
            copying.execute("PRAGMA target.cache_size = -32768")

    def _make_tables(self, source: sqlite3.Connection) -> None:
        target = connect(self.path, "rw")
        try:
            for pragma in ("encoding", "page_size", "auto_vacuum"):
                (value,) = source.execute(f"PRAGMA {pragma}").fetchone()
                target.execute(f"PRAGMA {pragma} = {_literal(value)}")
            target.execute("PRAGMA secure_delete = ON")
            target.execute("BEGIN")
            for pragma in ("user_version", "application_id"):
                (value,) = source.execute(f"PRAGMA {pragma}").fetchone()
                target.execute(f"PRAGMA {pragma} = {int(value)}")
            for name, sql in _definitions(source, "table"):
                if _is_table(source, name):
                    target.execute(sql)
            target.execute("COMMIT")
        finally:
            target.close()

    def copy(
        self, table: str, masked: Sequence[str], mask: MaskBlock, *, where: str = "", keep: str = ""
    ) -> int:
        source = self._source()
        with scrubbed(f"copying {table}"):
            writer = _Writer(source.copying, table, tuple(masked))
            if not masked:
                return writer.plain(where)
            # closed, and so at rest, before anybody closes the connection that they read from
            with (
                closing(ahead(source.blocks(table, masked, where=where, keep=keep))) as blocks,
                closing(ahead(writer.insertion(block, mask(block)) for block in blocks)) as insertions,
            ):
                return sum(map(writer.write, insertions))
        raise AssertionError

    def stop(self) -> None:
        self._source().copying.interrupt()

    def finish(self, rebuild: Collection[str] = ()) -> None:
        source = self._source()
        with scrubbed("completing the copy"):
            source.copying.execute("COMMIT")
            source.copying.execute("DETACH target")
            self.target = target = connect(self.path, "rw")
            target.execute(
                "PRAGMA temp_store = FILE"
            )  # masked values only from here on; a large sort needs a file
            target.execute("PRAGMA secure_delete = ON")
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("BEGIN")
            self._make_the_rest(source.connection, target, rebuild)
            target.execute("COMMIT")
            (mode,) = source.connection.execute("PRAGMA journal_mode").fetchone()
            target.execute(f"PRAGMA journal_mode = {'WAL' if mode == 'wal' else 'DELETE'}")
        make_durable(self.path)

    def count(self) -> Mapping[str, int]:
        source, target, question = self._source(), self._target(), "SELECT count(*) FROM {}"
        plain = [name for name in source.schema().tables if not _is_virtual(source.connection, name)]
        with scrubbed("counting the copied rows"):
            return {name: target.execute(question.format(identifier(name))).fetchone()[0] for name in plain}
        raise AssertionError

    def _make_the_rest(
        self, source: sqlite3.Connection, target: sqlite3.Connection, rebuild: Collection[str]
    ) -> None:
        _copy_sequences(source, target)
        for name, sql in _definitions(source, "table"):
            if _is_virtual(source, name):
                target.execute(sql)
                if name in rebuild:
                    target.execute(f"INSERT INTO {identifier(name)}({identifier(name)}) VALUES ('rebuild')")
        for kind in ("index", "view", "trigger"):
            for _, sql in _definitions(source, kind):
                target.execute(sql)
        if source.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
            target.execute("ANALYZE")

    def execute(self, statement: str) -> None:
        with scrubbed("a disarming statement", 508), _confined(self._target()) as target:
            target.execute(statement)

    def answer(self, query: str) -> Sequence[Sequence[object]]:
        target = self._target()
        target.execute("PRAGMA query_only = ON")
        try:
            with scrubbed("an assertion", 508), _confined(target):
                return target.execute(query).fetchmany(2)
            raise AssertionError
        finally:
            target.execute("PRAGMA query_only = OFF")

    def analyze(self) -> None:
        """`finish` has done so where the source has statistics."""

    def verify(self) -> Sequence[str]:
        target = self._target()
        problems = []
        with scrubbed("checking the copy"):
            broken = target.execute(
                'SELECT "table", "parent", count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
            ).fetchall()
            problems += [
                f"{count:,} rows of {table} refer to rows missing from {parent}"
                for table, parent, count in broken
            ]
            found = [row[0] for row in target.execute("PRAGMA integrity_check(20)")]
            if found != ["ok"]:
                problems.append(f"the integrity check found {len(found)} faults in the copy")
        return problems

    @contextmanager
    def result(self) -> Iterator[Snapshot]:
        with opened(self.path) as snapshot:
            yield snapshot

    def _source(self) -> SqliteSnapshot:
        assert self.source is not None, "begin comes first"
        return self.source

    def _target(self) -> sqlite3.Connection:
        assert self.target is not None, "finish comes first"
        return self.target


@contextmanager
def _confined(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Statements of the policy's author reach this database and nothing else."""
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_DENY if action in _FORBIDDEN else sqlite3.SQLITE_OK
    )
    try:
        yield connection
    finally:
        connection.set_authorizer(None)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """One block, ready to be written. `parameters`: of one statement, or of a statement per row."""

    sql: str
    parameters: Any
    rows: int
    row_by_row: bool = False


class _Writer:
    def __init__(self, connection: sqlite3.Connection, table: str, masked: tuple[str, ...]) -> None:
        self.connection, self.table, self.masked = connection, table, masked
        self.found: Address = address(connection, table)
        rows = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?)", (table,)).fetchall()
        self.columns = [name for name, hidden in rows if hidden == 0]
        (encoding,) = connection.execute("PRAGMA main.encoding").fetchone()
        self.joins = encoding == "UTF-8" and bool(self.found.rowid)
        self.extra = [self.found.rowid] if self.found.rowid and not self.found.alias else []
        self.into = f"INSERT INTO target.{identifier(table)} ({quoted([*self.extra, *self.columns])})"
        self.source = f"main.{identifier(table)} AS s"

    def plain(self, where: str) -> int:
        """All columns as they are: SQLite's own copy."""
        sql = f"{self.into} SELECT {quoted([*self.extra, *self.columns])} FROM main.{identifier(self.table)}"
        return self.connection.execute(f"{sql} WHERE {where_clause(where)}").rowcount

    def insertion(self, block: Block, masked: pl.DataFrame) -> _Insertion:
        if masked.columns != list(self.masked) or masked.height != block.frame.height:
            raise AssertionError(f"the masked block of {self.table} has other rows or columns")
        joined = self._joined(block.locator, masked) if isinstance(block.locator, Span) else None
        return joined or self._row_by_row(block.locator, masked)

    def write(self, insertion: _Insertion) -> int:
        """Raises Failed when not each row of the block was written."""
        sql, parameters = insertion.sql, insertion.parameters
        run = self.connection.executemany if insertion.row_by_row else self.connection.execute
        written = run(sql, parameters).rowcount
        if written != insertion.rows:
            raise rows_missing(self.table, insertion.rows, written)
        return written

    def _joined(self, span: Span, masked: pl.DataFrame) -> _Insertion | None:
        width = span.last - span.first + 1
        if not self.joins or width > 4 * masked.height:
            return None
        sources: dict[str, str] = {}
        parameters: list[bytes] = []
        for name in self.masked:
            piece = _piece(
                _spread(masked[name], span, width), len(parameters) + 1, self.found.rowid, span.first
            )
            if piece is None:
                return None
            sources[name], bound = piece
            parameters += bound
        select = ", ".join(
            sources.get(name) or f"s.{identifier(name)}" for name in [*self.extra, *self.columns]
        )
        rowid = f"s.{identifier(self.found.rowid)}"
        which = f"{rowid} BETWEEN {span.first} AND {span.last}"
        if span.rowids is not None:
            which += f" AND substr(?{len(parameters) + 1}, {rowid} - ({span.first}) + 1, 1) = x'31'"
            parameters.append(_present(span, width))
        sql = f"{self.into} SELECT {select} FROM {self.source} WHERE {which}"
        return _Insertion(sql, parameters, masked.height)

    def _row_by_row(self, locator: object, masked: pl.DataFrame) -> _Insertion:
        if isinstance(locator, Span):
            rowids = locator.rowids
            keys: Any = (
                (key,)
                for key in (range(locator.first, locator.last + 1) if rowids is None else rowids.to_list())
            )
            names: tuple[str, ...] = (self.found.rowid,)
        else:
            assert isinstance(locator, Keys)
            keys, names = locator.values, self.found.key
        numbered = {name: f"?{len(names) + position}" for position, name in enumerate(self.masked, 1)}
        select = ", ".join(
            numbered.get(name) or f"s.{identifier(name)}" for name in [*self.extra, *self.columns]
        )
        which = " AND ".join(f"s.{identifier(name)} IS ?{position}" for position, name in enumerate(names, 1))
        rows = ((*key, *values) for key, values in zip(keys, masked.iter_rows(), strict=True))
        sql = f"{self.into} SELECT {select} FROM {self.source} WHERE {which}"
        return _Insertion(sql, rows, masked.height, row_by_row=True)


def _spread(values: pl.Series, span: Span, width: int) -> pl.Series:
    """One value per rowid of the span, NULL where there is no row."""
    if span.rowids is None:
        return values
    places = pl.DataFrame({"at": span.rowids - span.first, "value": values})
    every = pl.DataFrame({"at": pl.int_range(width, eager=True)})
    return every.join(places, on="at", how="left", maintain_order="left")["value"].alias(values.name)


def _present(span: Span, width: int) -> bytes:
    assert span.rowids is not None
    marks = bytearray(b"0" * width)
    for rowid in span.rowids.to_list():
        marks[rowid - span.first] = 0x31
    return bytes(marks)


def _piece(values: pl.Series, number: int, rowid: str, first: int) -> tuple[str, list[bytes]] | None:
    """SQL that gives each row of a span its value out of parameter `number`, and that parameter; None where it cannot."""
    if values.null_count() == values.len():
        return "NULL", []
    cast = "INTEGER" if values.dtype == pl.Int64 else "TEXT"
    if values.dtype not in (pl.String, pl.Int64):
        return None
    text = values.cast(pl.String)
    if text.null_count():
        if text.str.contains(NULL_MARK, literal=True).any():
            return None
        text = text.fill_null(NULL_MARK)
    pad = next((pad for pad in (" ", "\x1f") if not text.str.ends_with(pad).any()), None)
    sizes = text.str.len_bytes()
    width = int(sizes.max())  # type: ignore[arg-type]
    if pad is None or width * text.len() > WIDEST_JOIN:
        return None
    at = f"(s.{identifier(rowid)} - ({first})) * {width} + 1"
    piece = f"substr(?{number}, {at}, {width})"
    taken = f"CAST({piece} AS TEXT)"
    if sizes.min() != width:
        taken = f"rtrim({piece})" if pad == " " else f"rtrim({taken}, char(31))"
        ascii_only = bool((sizes == text.str.len_chars()).all())
        text = text.str.pad_end(width, pad) if ascii_only else _padded(text, width, pad)
    if values.null_count():
        taken = f"nullif({taken}, char(30))"
    sql = taken if cast == "TEXT" else f"CAST({taken} AS INTEGER)"
    return sql, [text.str.join("").item().encode()]


def _padded(text: pl.Series, width: int, pad: str) -> pl.Series:
    """Padded to a number of bytes, where Polars pads to a number of characters."""
    column = pl.col("t")
    filling = pl.lit(pad * width).str.slice(0, width - column.str.len_bytes().cast(pl.Int64))
    return pl.DataFrame({"t": text}).select(pl.concat_str(column, filling))["t"]


def _definitions(connection: sqlite3.Connection, kind: str) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " ORDER BY rowid",
        (kind,),
    ).fetchall()


def _is_table(connection: sqlite3.Connection, name: str) -> bool:
    return _listed_as(connection, name) == "table"


def _is_virtual(connection: sqlite3.Connection, name: str) -> bool:
    return _listed_as(connection, name) == "virtual"


def _listed_as(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute(
        "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?", (name,)
    ).fetchone()
    return str(row[0]) if row else ""


def _copy_sequences(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    if not source.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone():
        return
    counters = source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    target.execute("DELETE FROM sqlite_sequence")
    target.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", counters)


def _literal(value: object) -> str:
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _uri(path: Path) -> str:
    return quote(str(path.absolute()))
