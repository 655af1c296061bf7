"""Reading a PostgreSQL database at one moment, through as many connections as help.

One transaction exports its snapshot (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION);
whoever reads, pg_dump too, takes it over. Rows come as lines of text, from psql or, where they are few, from psycopg, and Polars takes
them apart.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values are bound, conditions were probed

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from subprocess import PIPE
from threading import Lock, RLock
from typing import IO, Any

import polars as pl
import psycopg

from branchline.adapters.databases.clients import Client, Clients, line_blocks, pieces
from branchline.adapters.databases.ordering import newest_first
from branchline.adapters.databases.postgresql_connection import (
    Connection,
    PostgresqlServer,
    Sessions,
    identifier,
    refused,
    schema_words,
    scrubbed,
)
from branchline.adapters.databases.postgresql_programs import psql, script
from branchline.adapters.databases.postgresql_schema import (
    Place,
    key_columns,
    one_expression,
    read_places,
    read_schema,
    rewritten,
)
from branchline.adapters.databases.text_rows import Fields, read_rows, typed
from branchline.domain.schema import Schema, Table
from branchline.errors import Failed, Unavailable
from branchline.overlap import ahead
from branchline.ports import Block

READING = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable read",
    "statement_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "row_security": "off",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "timezone": "UTC",
    "lc_monetary": "C",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""row_security off: a table whose policies would hide rows is an error, not a copy with fewer rows. jit off: for conditions of a subset
it took longer than it saved."""
NOTICING_AN_END = 140000, {"client_connection_check_interval": "500ms"}
"""Since this version a server can notice that a client has ended while it waits or computes."""
_KEEP = "\0keep"
"""No column's name."""
READ_AT_ONCE = 2**17
"""Bytes of a table on disk; a psql takes longer to start than these to read. What is compressed in them may be a hundred times as long."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A block's rows by the values of their primary key, as text."""

    frame: pl.DataFrame


class PostgresqlSnapshot:
    """Implements `branchline.ports.Snapshot`. `id`: what other transactions take it over by."""

    notes = ()

    def __init__(self, server: PostgresqlServer, database: str) -> None:
        self.server, self.database = server, database
        self.connection: Connection = server.connect(database, READING)
        version, noticing = NOTICING_AN_END
        self._reading = {**READING, **(noticing if self.connection.info.server_version >= version else {})}
        self.wait_while_lagging: Callable[[], None] | None = None
        """Called between blocks, in any thread; None where replication is not watched."""
        self._asking = RLock()
        self._clients = Clients()
        self._sessions, self._reading_all = Sessions(self._clients, self._joined), Lock()
        self._schema: Schema | None = None
        self._places: dict[str, Place] | None = None
        with scrubbed(f"reading {database}"):
            self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            ((self.id,),) = self.connection.execute("SELECT pg_export_snapshot()").fetchall()
        self._begin = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{self.id}'"

    def stop(self) -> None:
        """Called from another thread, ends what is being read: whoever reads is told so, soon. Questions go on."""
        self._clients.interrupt()

    def close(self) -> None:
        self.stop()
        self._sessions.close()
        self.connection.close()

    @contextmanager
    def asking(self, doing: str) -> Iterator[Connection]:
        """The connection for a few questions, that lets go of their tables afterwards: nobody's ALTER TABLE waits longer."""
        with scrubbed(doing), self._asking, self.connection.transaction(force_rollback=True):
            yield self.connection

    def ask(self, doing: str, sql: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of one question. In one with values, a `%` of its own is written `%%`."""
        with self.asking(doing) as connection:
            return connection.execute(sql, values).fetchall()
        raise AssertionError

    def schema(self) -> Schema:
        if self._schema is None:
            with self.asking(f"reading the schema of {self.database}") as connection:
                self._schema = read_schema(connection)
        return self._schema

    def check_unchanged(self) -> None:
        """Raises Unavailable, naming them, when tables were dropped, emptied or rewritten since: from then on they look empty."""
        with self.asking(f"reading the schema of {self.database}") as connection:
            changed = rewritten(connection)
        if changed:
            what = f"{', '.join(changed)} of the source: dropped, emptied or rewritten during the copy."
            raise Unavailable(536, what, "Start again when its migration has ended; nothing was switched.")

    def table(self, name: str) -> Table:
        return self.schema().tables[name]

    def place(self, table: str) -> Place:
        if self._places is None:
            with self.asking(f"looking for the tables of {self.database}") as connection:
                self._places = read_places(connection)
        return self._places.get(table) or Place("public", table, partitioned=False, estimate=0)

    def count(self, table: str, where: str = "") -> int:
        sql = f"SELECT count(*) FROM {self.rows(table)} WHERE {_condition(where)}"
        ((count,),) = self.ask(f"counting rows of {table}", sql)
        return int(count)

    def estimate(self, table: str) -> int:
        return self.place(table).estimate

    def probe(self, table: str, condition: str) -> str:
        if not one_expression(condition):
            return "it is not one SQL expression"
        with self._asking:
            try:
                with self.connection.transaction(force_rollback=True):
                    self.connection.execute(f"EXPLAIN SELECT 1 FROM {self.rows(table)} WHERE ({condition}\n)")
            except psycopg.Error as error:
                said = error.diag.message_primary or ""
                return schema_words(said) or f"PostgreSQL does not understand it ({error.sqlstate})"
        return ""

    def equal(self, column: str, others: Sequence[str]) -> str:
        name = f"lower({identifier(column)}::text)"
        return f"{name} IN ({', '.join(f'lower({identifier(other)}::text)' for other in others)}) AND {name} <> ''"

    def rows(self, table: str) -> str:
        return self.place(table).rows

    def quoted(self, name: str) -> str:
        return identifier(name)

    def digest(self, values: Sequence[str]) -> str:
        quoted = ", ".join(f"quote_nullable({value}::text)" for value in values)
        return f"left(md5(concat_ws(',', {quoted})), 15)"

    def newest(self, table: str, by: str, rows: int, where: str = "") -> str:
        """The row that is looked at is asked for in the condition itself: no value of it is on a command line."""
        mark, key = identifier(by), [identifier(name) for name in key_columns(self.table(table))]
        found = f"FROM {self.rows(table)} WHERE {_condition(where)} {newest_first(mark, key, rows)}"
        last = self.ask(f"looking for the newest rows of {table}", f"SELECT {mark} IS NULL {found}")
        if not last:
            return ""
        with_mark = ", ".join((mark, *key))
        if last == [(True,)]:
            return f"{mark} IS NOT NULL OR ({', '.join(key)}) >= (SELECT {', '.join(key)} {found})"
        return f"({with_mark}) >= (SELECT {with_mark} {found})"

    def texts(self, query: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with self.reader(f"COPY ({query}) TO STDOUT") as client:
            for block in line_blocks(client.stdout):
                yield read_rows(block, names).frame
            if failure := refused(client, "following foreign keys"):
                raise failure

    def blocks(
        self, table: str, columns: Sequence[str], *, where: str = "", keep: str = ""
    ) -> Iterator[Block]:
        known = self.table(table)
        kinds: Mapping[str, str] = {column.name: column.kind for column in known.columns}
        keys = [name for name in key_columns(known) if name not in columns]
        wanted = [*columns, *keys] or [known.columns[0].name]
        for written in ahead(self.lines(table, wanted, where, keep)):
            rows = self.fields(table, wanted, keep, written)
            meant = {name: rows.values(name) for name in wanted}
            locator = (
                Keys(pl.DataFrame([meant[name] for name in key_columns(known)]))
                if key_columns(known)
                else None
            )
            block = pl.DataFrame([as_kind(meant[name], kinds[name]) for name in columns])
            yield Block(block, rows.frame[_KEEP] == "t" if keep else None, locator)

    def lines(
        self, table: str, columns: Sequence[str], where: str = "", keep: str = ""
    ) -> Generator[bytes, None, None]:
        """Rows as COPY writes them, in blocks of whole lines; what `keep` says last."""
        return self._read(table, f"COPY {self.selection(table, columns, where, keep)} TO STDOUT", line_blocks)

    def pieces(
        self, table: str, columns: Sequence[str], where: str, form: str
    ) -> Generator[bytes, None, None]:
        """The same in one of COPY's formats, in pieces that end anywhere."""
        selection = self.selection(table, columns, where)
        return self._read(table, f"COPY {selection} TO STDOUT (FORMAT {form})", pieces)

    def _read(
        self, table: str, copy: str, cut: Callable[[IO[bytes]], Iterator[bytes]]
    ) -> Generator[bytes, None, None]:
        with self._copied_out(table, copy) as rows:
            for block in cut(rows):
                if self.wait_while_lagging is not None:
                    self.wait_while_lagging()
                yield block

    @contextmanager
    def _copied_out(self, table: str, copy: str) -> Iterator[IO[bytes]]:
        """What COPY writes: all at once where it is little, else from a psql."""
        size = self.place(table).size
        if size is not None and size <= READ_AT_ONCE:
            yield self._all(table, copy)
            return
        with self.reader(copy) as client:
            yield client.stdout
            if failure := refused(client, f"reading {table}"):
                raise failure

    def _all(self, table: str, copy: str) -> IO[bytes]:
        """One table at a time, for accounts have few connections; lets go of it afterwards, as `asking` does."""
        with (
            scrubbed(f"reading {table}"),
            self._reading_all,
            self._sessions.one() as connection,
            connection.transaction(force_rollback=True),
            connection.cursor().copy(copy) as rows,
        ):
            return io.BytesIO(b"".join(rows))
        raise AssertionError

    def _joined(self) -> Connection:
        """One more that sees what this snapshot does."""
        with ExitStack() as unless:
            connection = self.server.connect(self.database, self._reading)
            unless.callback(connection.close)
            connection.execute(self._begin)
            unless.pop_all()
            return connection

    def selection(self, table: str, columns: Sequence[str], where: str = "", keep: str = "") -> str:
        """For COPY: a table's own rows, which go without the executor of queries where all are wanted, as they are stored."""
        listed, place = ", ".join(identifier(name) for name in columns), self.place(table)
        stored = {column.name for column in self.table(table).stored}
        if not (where or keep or place.partitioned or set(columns) - stored):
            return f"{place.sql} ({listed})"
        marked = f", ({keep}\n) IS TRUE" if keep else ""
        return f"(SELECT {listed}{marked} FROM {place.rows} WHERE {_condition(where)})"

    @staticmethod
    def fields(table: str, columns: Sequence[str], keep: str, block: bytes) -> Fields:
        """A block of `lines`, taken apart."""
        try:
            return read_rows(block, [*columns, _KEEP] if keep else columns)
        except ValueError as error:
            what = f"Reading {table}: {error}."
            raise Failed(
                525, what, "Report this with the table's definition; nothing was switched."
            ) from None

    @contextmanager
    def reader(self, copy: str) -> Iterator[Client]:
        """A psql that runs a COPY in this snapshot and writes its rows to its output."""
        with script(copy) as lines:
            commands = (self._begin, copy) if lines is None else (self._begin,)
            reading = psql(self.server, self.database, self._reading, commands, script=lines, stdout=PIPE)
            with self._clients.running(reading) as client:
                yield client

    def cells(
        self, table: str, column: str, locator: object, rows: Sequence[int], masked: Collection[str]
    ) -> Sequence[str | None] | None:
        if not isinstance(locator, Keys) or set(locator.frame.columns) & set(masked):
            return None
        known = self.table(table)
        keys = locator.frame.columns
        declared = {each.name: each.declared for each in known.columns}
        sought = locator.frame[list(rows)]
        given = ", ".join(f"\0::{declared[name]}[]" for name in keys)
        names = ", ".join(identifier(f"k{at}") for at in range(len(keys)))
        match = " AND ".join(
            f"t.{identifier(name)} = k.{identifier(f'k{at}')}" for at, name in enumerate(keys)
        )
        sql = (
            f"SELECT t.{identifier(column)}::text FROM unnest({given}) WITH ORDINALITY AS k({names}, place)"
            f" LEFT JOIN {self.rows(table)} AS t ON {match} ORDER BY k.place"
        )
        sql = sql.replace("%", "%%").replace("\0", "%s")
        found = self.ask(f"reading {table}", sql, [sought[name].to_list() for name in keys])
        return [row[0] for row in found]


@contextmanager
def opened(server: PostgresqlServer, database: str) -> Iterator[PostgresqlSnapshot]:
    """A snapshot for the time of the context."""
    snapshot = PostgresqlSnapshot(server, database)
    try:
        yield snapshot
    finally:
        snapshot.close()


def as_kind(texts: pl.Series, kind: str) -> pl.Series:
    """A block's column by its kind."""
    if kind == "binary":
        return texts.str.strip_prefix("\\x").str.decode("hex")
    return typed(texts, {texts.name: kind})


def _condition(where: str) -> str:
    return f"({where}\n)" if where else "true"
