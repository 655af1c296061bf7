"""Reading a MariaDB or MySQL database at one moment, over one session or several that began together.

Several sessions see the same moment because they begin while nothing can commit: under FLUSH TABLES WITH READ LOCK, which
is held for as long as it takes to begin them. Where the account has no right to that, or the lock does not come within
seconds, one session reads everything, and the snapshot's `notes` say so.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values are literals, conditions were probed

from __future__ import annotations

import queue
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock

import polars as pl
import pymysql

from branchline.adapters.databases.mysql_connection import (
    MysqlServer,
    Session,
    code_of,
    identifier,
    identity_of,
    may_write,
    scrubbed,
    text,
    without_values,
)
from branchline.adapters.databases.mysql_definitions import Definitions, read_definitions
from branchline.adapters.databases.mysql_reader import BLOCK_BYTES, STREAMED_ROWS, Piece, Place, Reader
from branchline.adapters.databases.mysql_schema import TRANSACTIONAL, Catalog, Layout, read_catalog, unseen
from branchline.adapters.databases.ordering import newest_first, not_before
from branchline.domain.schema import Schema
from branchline.errors import Failed, Refused
from branchline.ports import Block

LOCK_SECONDS, STATEMENT_SECONDS = 5, 3600
READING = (
    "sql_mode = ''",
    f"group_concat_max_len = CAST(LEAST({BLOCK_BYTES}, @@max_allowed_packet DIV 2) AS UNSIGNED)",
    "net_write_timeout = 3600",
    f"lock_wait_timeout = {LOCK_SECONDS * 6}",
    "sql_quote_show_create = 1",
)
_MAY_NOT_LOCK, _LOCK_TIMEOUT = 1227, 1205


class MysqlSnapshot:
    """`control` reads definitions, sees what is there now, and need not be the account that reads the rows."""

    def __init__(
        self, database: str, sessions: Sequence[Session], control: Session, notes: Sequence[str]
    ) -> None:
        self.database, self.sessions, self.control = database, sessions, control
        self.notes = tuple(notes)
        self.wait_while_lagging: Callable[[], None] | None = None
        """Called between pieces, in any thread; None where replication is not watched."""
        self._asking = Lock()
        self._free: queue.LifoQueue[Session] = queue.LifoQueue()
        for session in sessions:
            self._free.put(session)
        with scrubbed(f"reading the schema of {database}"):
            self.catalog: Catalog = read_catalog(control, database)
            hidden = unseen(control, database)
        others = [
            name
            for name, layout in self.catalog.layouts.items()
            if layout.engine and layout.engine not in TRANSACTIONAL
        ]
        if hidden:
            self.notes += (f"programs may be missing, for the account cannot see all: {', '.join(hidden)}",)
        if others:
            self.notes += (
                f"tables without transactions are read as they are at their turn: {', '.join(others)}",
            )

    def stop(self) -> None:
        """Called from another thread, ends what is being read: whoever reads is told so, soon."""
        for session in self.sessions:
            session.end()

    def close(self) -> None:
        for session in (*self.sessions, self.control):
            session.close()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One that nobody else has meanwhile. Given back, it no longer keeps others from altering the tables it has read."""
        taken = self._free.get()
        try:
            yield taken
            taken.run("ROLLBACK TO SAVEPOINT beginning")
        finally:
            self._free.put(taken)

    def identity(self) -> str:
        """The same for the same database of the same server, by whatever name both are reached."""
        with scrubbed(f"reading {self.database}"):
            return identity_of(self.control)
        raise AssertionError

    def refuse_changes(self) -> None:
        """Raises Failed when tables are not what they were: not every way of altering one shows when its rows are read."""
        with scrubbed(f"reading the schema of {self.database}"):
            now = read_catalog(self.control, self.database)
        both = {**self.catalog.layouts, **now.layouts}
        changed = [name for name in both if self.catalog.layouts.get(name) != now.layouts.get(name)]
        if changed:
            what = f"Tables were altered while {self.database} was read: {', '.join(sorted(changed))}."
            raise Failed(
                536, what, "Start again when the source is not being migrated; nothing was switched."
            )

    def definitions(self, target: str, owner: str) -> Definitions:
        """What makes this database anew. Raises Failed when it is not what it was when the snapshot began."""
        self.refuse_changes()
        with scrubbed(f"reading the definitions of {self.database}"):
            return read_definitions(self.control, self.database, self.catalog, target, owner)
        raise AssertionError

    def layout(self, table: str) -> Layout:
        return self.catalog.layouts[table]

    def schema(self) -> Schema:
        return self.catalog.schema

    def count(self, table: str, where: str = "") -> int:
        with scrubbed(f"counting rows of {table}"), self.session() as session:
            condition = f"({where}\n)" if where else "TRUE"
            return int(session.one(f"SELECT COUNT(*) FROM {identifier(table)} WHERE {condition}"))
        raise AssertionError

    def estimate(self, table: str) -> int:
        sql = f"SELECT TABLE_ROWS FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = {text(table)}"
        with scrubbed(f"measuring {table}"), self._asking:
            return int(self.control.one(sql) or 0)
        raise AssertionError

    def probe(self, table: str, condition: str) -> str:
        if not one_expression(condition):
            return "it is not one SQL expression"
        with scrubbed(f"reading {table}"), self.session() as session:
            try:
                session.rows(f"EXPLAIN SELECT 1 FROM {identifier(table)} WHERE ({condition}\n)")
            except (pymysql.ProgrammingError, pymysql.DataError, pymysql.OperationalError) as error:
                return without_values(error)
        return ""

    def cells(
        self, table: str, column: str, locator: object, rows: Sequence[int], masked: Collection[str]
    ) -> Sequence[str | None] | None:
        layout = self.layout(table)
        if not isinstance(locator, Place) or not layout.key or set(layout.key) & set(masked):
            return None
        with scrubbed(f"reading {table}"):
            found = [self._cell(layout, column, which) for which in locator.keys(rows)]
            return [value if value is None else value.decode("utf-8", "backslashreplace") for value in found]
        raise AssertionError

    def _cell(self, layout: Layout, column: str, which: str) -> bytes | None:
        shape = layout.shape(column)
        shown = shape.name if shape.binary else shape.shown
        with self.session() as session:
            value: bytes | None = session.one(f"SELECT {shown} FROM {identifier(layout.name)} WHERE {which}")
            return value

    def equal(self, column: str, others: Sequence[str]) -> str:
        def folded(name: str) -> str:
            return f"LOWER(CONVERT({identifier(name)} USING utf8mb4)) COLLATE utf8mb4_bin"

        return f"{folded(column)} IN ({', '.join(map(folded, others))}) AND {folded(column)} <> ''"

    def rows(self, table: str) -> str:
        return identifier(table)

    def quoted(self, name: str) -> str:
        return identifier(name)

    def digest(self, values: Sequence[str]) -> str:
        written = ", ".join(f"IFNULL(HEX(CAST({value} AS BINARY)), 'N')" for value in values)
        return f"LEFT(SHA2(CONCAT_WS(',', {written}), 256), 15)"

    def newest(self, table: str, by: str, rows: int, where: str = "") -> str:
        layout = self.layout(table)
        key = [shape for shape in layout.columns if shape.column.key]
        names = [shape.name for shape in key]
        shapes = [layout.shape(by), *key]
        found = f"FROM {identifier(table)} WHERE {f'({where}{chr(10)})' if where else 'TRUE'}"
        with scrubbed(f"looking for the newest rows of {table}"), self.session() as session:
            exact = ", ".join(shape.exact for shape in shapes)
            rows_found = session.rows(f"SELECT {exact} {found} {newest_first(shapes[0].name, names, rows)}")
        if not rows_found:
            return ""
        mark, *keys = (
            None if value is None else shape.literal(value)
            for shape, value in zip(shapes, rows_found[0], strict=True)
        )
        return not_before(shapes[0].name, names, mark, [str(each) for each in keys])

    def texts(self, query: str, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        with scrubbed("following foreign keys"), self.session() as session:
            for rows in session.streamed(query, STREAMED_ROWS, BLOCK_BYTES):
                texts = [[value.decode() for value in row] for row in rows]
                yield pl.DataFrame(texts, list(names), orient="row")

    def blocks(
        self, table: str, columns: Sequence[str], *, where: str = "", keep: str = ""
    ) -> Iterator[Block]:
        for piece in self.pieces(table, columns, (), where=where, keep=keep):
            yield Block(piece.frame, piece.keep, piece.place)

    def pieces(
        self, table: str, wanted: Sequence[str], passing: Sequence[str], *, where: str = "", keep: str = ""
    ) -> Generator[Piece, None, None]:
        """As `blocks`, and beside the wanted columns those that pass through as they are."""
        with scrubbed(f"reading {table}"):
            reader = Reader(self.session, self.layout(table), wanted, passing, where=where, keep=keep)
            for piece in reader.pieces():
                if self.wait_while_lagging is not None:
                    self.wait_while_lagging()
                yield piece


@contextmanager
def opened(
    server: MysqlServer,
    database: str,
    sessions: int = 1,
    *,
    control: MysqlServer | None = None,
    allow_writable_source: bool = True,
) -> Iterator[MysqlSnapshot]:
    """A database at this moment, for the time of the context. `control` is the account that reads definitions and may lock.

    Raises Refused when the account could change something and that is not allowed.
    """
    with _closing() as begun:
        controlling = Session(control or server, database, settings=READING)
        begun.append(controlling)
        if not allow_writable_source:
            _refuse_writer(controlling, database)
        notes: list[str] = []
        reading = [Session(server, database, raw=True, settings=READING) for _ in range(sessions)]
        begun.extend(reading)
        with scrubbed(f"beginning to read {database}"):
            for session in begun:
                _limit(session)
            reading = _together(reading, controlling, notes)
        snapshot = MysqlSnapshot(database, reading, controlling, notes)
        yield snapshot


@contextmanager
def _closing() -> Iterator[list[Session]]:
    sessions: list[Session] = []
    try:
        yield sessions
    finally:
        for session in sessions:
            session.close()


def _refuse_writer(session: Session, database: str) -> None:
    with scrubbed(f"reading the rights on {database}"):
        right = may_write(session)
    if right:
        what = f"The account {session.server.user!r} that reads {database} may write: it has {right}."
        raise Refused(533, what, "Give it an account that can only read, or say allow_writable_source: true.")


def _limit(session: Session) -> None:
    """One moment for all that it reads, and no statement that runs for hours (MariaDB's setting, then MySQL's)."""
    session.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    session.prefer(
        f"max_statement_time = {STATEMENT_SECONDS}", f"max_execution_time = {STATEMENT_SECONDS}000"
    )


def _together(sessions: Sequence[Session], control: Session, notes: list[str]) -> list[Session]:
    """Those that see one and the same moment: all, or the first alone where nothing may be locked."""
    several = len(sessions) > 1 and _locked(control, notes)
    chosen = list(sessions) if several else list(sessions[:1])
    try:
        for session in chosen:
            session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            session.run("SAVEPOINT beginning")
    finally:
        if several:
            control.run("UNLOCK TABLES")
    return chosen


def _locked(control: Session, notes: list[str]) -> bool:
    try:
        control.run(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        control.run("FLUSH TABLES WITH READ LOCK")
    except pymysql.MySQLError as error:
        if code_of(error) not in (_MAY_NOT_LOCK, _LOCK_TIMEOUT):
            raise
        why = "the account has no right to lock (RELOAD)"
        if code_of(error) == _LOCK_TIMEOUT:
            why = f"the server was not free for a lock within {LOCK_SECONDS} seconds"
        notes.append(f"read over one session: {why}")
        return False
    finally:
        with suppress(pymysql.MySQLError):
            control.run(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS * 6}")
    return True


def one_expression(condition: str) -> bool:
    """Whether parentheses around it cannot be left: they would otherwise let a second SELECT in."""
    depth, quote, position = 0, "", 0
    while position < len(condition):
        character, pair = condition[position], condition[position : position + 2]
        if quote:
            position += 1 if character == "\\" and quote != "`" else 0
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character in ";#" or pair in ("--", "/*"):
            return False
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth < 0:
                return False
        position += 1
    return depth == 0 and not quote
