"""Filling a new database from a snapshot so that the values of masked columns are written masked only.

Each block becomes one LOAD DATA out of memory: the server's own joined text for the columns that pass through, beside the
masked ones. Field, row and escape marks are control characters, so nothing else needs escaping, and everything that passes
through is loaded in character set binary: byte for byte. Rows come in the order of their primary key into tables without
other indexes; those are added afterwards, several tables at a time, and foreign keys last.
"""

# ruff: noqa: S608 - names are quoted by `identifier`

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing

import polars as pl
import pymysql

from branchline.adapters.databases.mysql_connection import MysqlServer, Session, identifier, scrubbed
from branchline.adapters.databases.mysql_definitions import Definitions, Program, make
from branchline.adapters.databases.mysql_reader import Piece, too_large
from branchline.adapters.databases.mysql_rows import ended, masked_rows
from branchline.adapters.databases.mysql_schema import Layout, Shape
from branchline.adapters.databases.mysql_snapshot import MysqlSnapshot, opened
from branchline.errors import Failed
from branchline.overlap import ahead
from branchline.ports import Block, MaskBlock, Snapshot

JOBS = 2
LOADING = (
    "sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'",
    "foreign_key_checks = 0",
    "net_read_timeout = 3600",
)
LENIENT = ("sql_mode = 'ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'", "foreign_key_checks = 0")
"""For definitions: what the source's server once let pass must pass again."""
AS_ON_THE_SOURCE = (
    "sql_generate_invisible_primary_key = OFF",
    "sql_require_primary_key = OFF",
    "restrict_fk_on_non_standard_key = OFF",
)
_ON_TABLES = ("TRIGGER", "EVENT")
_LATER = ("VIEW", *_ON_TABLES)
"""What runs when rows come, or needs all tables to be whole; functions and procedures come first, so that what forbids them is told early."""
_CUT = 1265
_OF_EXPRESSIONS = {1292, 1365, 1411, 1441, 4037, 4038}
"""What computing a generated column may warn of (a text that is no number, a division by zero, no date, no JSON) without naming it."""
_AT_CHECK = re.compile(r"CONSTRAINT `([^`]+)` failed")
_AT_COLUMN = re.compile(r"column [`']?(?:[^ ]*\.)?[`']?([^`']+)[`'] at row")


class MysqlLoader:
    """One new database while it is filled. `confined` is an account that reaches nothing else."""

    def __init__(
        self, server: MysqlServer, database: str, owner: str, confined: MysqlServer, jobs: int = JOBS
    ) -> None:
        self.server, self.database, self.owner, self.confined = server, database, owner, confined
        self.jobs = jobs
        self.source: MysqlSnapshot | None = None
        self.definitions: Definitions | None = None
        self.sessions: list[Session] = []

    def close(self) -> None:
        for session in self.sessions:
            session.close()

    def stop(self) -> None:
        for session in list(self.sessions):
            session.end()
        if self.source is not None:
            self.source.stop()

    def begin(self, source: Snapshot) -> None:
        if not isinstance(source, MysqlSnapshot):
            raise TypeError("a MySQL version is filled from a MySQL snapshot")
        self.source = source
        self.definitions = definitions = source.definitions(self.database, self.owner)
        session = self._session(infile=False, settings=LENIENT)
        with scrubbed("making the tables"):
            session.prefer(*AS_ON_THE_SOURCE)
            session.run(
                f"ALTER DATABASE {identifier(self.database)}"
                f" CHARACTER SET {definitions.charset} COLLATE {definitions.collation}"
            )
            for name, sql, following in definitions.sequences:
                session.run(sql)
                session.rows(f"SELECT SETVAL({identifier(name)}, {following}, 0)")
            for table in definitions.tables:
                session.run(table.bare)
        self._make([program for program in definitions.programs if program.kind not in _LATER])

    def copy(
        self, table: str, masked: Sequence[str], mask: MaskBlock, *, where: str = "", keep: str = ""
    ) -> int:
        source, session = self._source(), self._session()
        session.prefer("max_error_count = 65535")
        layout = source.layout(table)
        passing = [shape.column.name for shape in layout.stored if shape.column.name not in masked]
        filling = _Filling(session, layout, tuple(masked), passing)
        with (
            scrubbed(f"copying {table}"),
            closing(source.pieces(table, masked, passing, where=where, keep=keep)) as pieces,
            closing(ahead(pieces)) as coming,
            closing(filling.lines(piece, mask) for piece in coming) as made,
            closing(ahead(made)) as ready,
        ):
            rows = sum(filling.load(lines, count) for lines, count in ready)
        session.close()
        self.sessions.remove(session)
        return rows

    def finish(self, rebuild: Collection[str] = ()) -> None:  # noqa: ARG002 - no virtual tables here
        definitions = self._definitions()
        self._source().refuse_changes()
        with ThreadPoolExecutor(self.jobs, "index") as pool:
            list(pool.map(self._index, [table.additions for table in definitions.tables if table.additions]))
        session = self._session(settings=LENIENT)
        with scrubbed("adding foreign keys"):
            session.prefer(*AS_ON_THE_SOURCE)
            for table in definitions.tables:
                if table.references:
                    session.run(table.references)
        self._make([program for program in definitions.programs if program.kind == "VIEW"])
        self._make([program for program in definitions.programs if program.kind in _ON_TABLES])

    def count(self) -> Mapping[str, int]:
        session = self._session()
        with scrubbed("counting the copied rows"):
            return {
                name: int(session.one(f"SELECT COUNT(*) FROM {identifier(name)}"))
                for name in self._source().schema().tables
            }
        raise AssertionError

    def _index(self, statements: Sequence[str]) -> None:
        session = self._session(settings=LENIENT)
        with scrubbed("adding indexes"):
            for statement in statements:
                session.run(statement)
        session.close()
        self.sessions.remove(session)

    def _make(self, left: Sequence[Program]) -> None:
        """They may need each other: whatever fails is tried again after the others, as long as that helps."""
        session, now = self._session(settings=()), self._definitions().collation
        while left:
            failed: list[tuple[Program, pymysql.MySQLError]] = []
            for program in left:
                now = self._collated(session, program.database, now)
                try:
                    make(session, program)
                except (pymysql.OperationalError, pymysql.ProgrammingError, pymysql.InternalError) as error:
                    failed.append((program, error))
            if len(failed) == len(left):
                with scrubbed(f"making the {failed[0][0].kind.lower()} {failed[0][0].name}"):
                    raise failed[0][1]
            left = [program for program, _ in failed]
        self._collated(session, self._definitions().collation, now)
        session.close()
        self.sessions.remove(session)

    def _collated(self, session: Session, wanted: str, now: str) -> str:
        """Has the database itself another collation, which functions and triggers remember, where it is not the one it has now."""
        if wanted in ("", now):
            return now
        with scrubbed("making programs"):
            session.run(f"ALTER DATABASE {identifier(self.database)} COLLATE {wanted}")
        return wanted

    def execute(self, statement: str) -> None:
        with scrubbed("a disarming statement", 508, statement):
            self._confined().run(statement)

    def answer(self, query: str) -> Sequence[Sequence[object]]:
        session = self._confined()
        with scrubbed("an assertion", 508, query):
            session.run("START TRANSACTION READ ONLY")
            try:
                return session.rows(query)
            finally:
                session.run("ROLLBACK")
        raise AssertionError

    def analyze(self) -> None:
        """InnoDB counts by itself while it is loaded."""

    def verify(self) -> Sequence[str]:
        session, problems = self._session(), []
        with scrubbed("checking the copy"):
            for name, table in self._source().schema().tables.items():
                for key in table.foreign_keys:
                    met = " AND ".join(
                        f"p.{identifier(there)} = c.{identifier(here)}"
                        for here, there in zip(key.columns, key.referred, strict=True)
                    )
                    told = " AND ".join(f"c.{identifier(column)} IS NOT NULL" for column in key.columns)
                    broken = session.one(
                        f"SELECT COUNT(*) FROM {identifier(name)} c WHERE {told}"
                        f" AND NOT EXISTS (SELECT 1 FROM {identifier(key.table)} p WHERE {met})"
                    )
                    if broken:
                        problems.append(f"{broken:,} rows of {name} refer to rows missing from {key.table}")
        return problems

    def result(self) -> AbstractContextManager[Snapshot]:
        return opened(self.confined, self.database, control=self.server)

    def _session(self, *, infile: bool = True, settings: Sequence[str] = LOADING) -> Session:
        session = Session(self.server, self.database, infile=infile, settings=settings)
        self.sessions.append(session)
        return session

    def _confined(self) -> Session:
        found = next((session for session in self.sessions if session.server is self.confined), None)
        if found is None:
            found = Session(self.confined, self.database)
            self.sessions.append(found)
        return found

    def _source(self) -> MysqlSnapshot:
        assert self.source is not None, "begin comes first"
        return self.source

    def _definitions(self) -> Definitions:
        assert self.definitions is not None, "begin comes first"
        return self.definitions


class _Filling:
    """One table while it is filled."""

    def __init__(
        self, session: Session, layout: Layout, masked: tuple[str, ...], passing: Sequence[str]
    ) -> None:
        self.session, self.layout = session, layout
        self.masked = [layout.shape(name) for name in masked]
        self.into = _into(layout, self.masked, [layout.shape(name) for name in passing])
        self.enums = {shape.column.name for shape in layout.columns if shape.type == "enum"} - set(masked)
        self.generated = {shape.column.name for shape in layout.columns if shape.column.generated}

    def lines(self, piece: Piece, mask: MaskBlock) -> tuple[bytes, int]:
        """A block as LOAD DATA reads it, each row ended."""
        passing = piece.passing
        if not self.masked:
            return (passing.lines(None) if passing else b""), piece.rows
        for shape in self.masked:
            if shape.column.kind == "integer" and piece.frame[shape.column.name].dtype == pl.String:
                raise too_large(self.layout.name, shape.column.name)
        beside = passing.beside() if passing else pl.DataFrame()
        frame = mask(Block(piece.frame, piece.keep, piece.place, beside))
        if frame.columns != [shape.column.name for shape in self.masked] or frame.height != piece.rows:
            raise AssertionError(f"the masked block of {self.layout.name} has other rows or columns")
        rows = masked_rows(self.masked, frame, piece.shown, piece.keep)
        return (passing.lines(rows) if passing else ended(rows)), piece.rows

    def load(self, lines: bytes, rows: int) -> int:
        """Raises Failed when not each row was loaded as it is."""
        memory = os.memfd_create("branchline block")
        try:
            with os.fdopen(memory, "wb", closefd=False) as file:
                file.write(lines)
            loaded, warnings = self.session.warned(
                f"LOAD DATA LOCAL INFILE '/proc/self/fd/{memory}' INTO TABLE {self.into}"
            )
            if warnings:
                self._refuse_warnings(warnings)
        finally:
            os.close(memory)
        if loaded != rows:
            what = f"{rows:,} rows of {self.layout.name} were read and {loaded:,} loaded: a key occurs twice."
            raise Failed(515, what, "Choose a mask that keeps unique values apart.")
        return loaded

    def _refuse_warnings(self, count: int) -> None:
        """LOCAL turns errors into warnings. Some are none: a kept ENUM that holds no member arrives as it was, and what is computed is
        computed as on the source.
        """
        found = self.session.rows("SHOW WARNINGS")
        for _, code, message in found:
            column, check = _AT_COLUMN.search(message), _AT_CHECK.search(message)
            name = next((found[1] for found in (column, check) if found), "")
            kept = column and name in self.enums and code == _CUT
            computed = (column and name in self.generated) or (
                self.generated and not name and code in _OF_EXPRESSIONS
            )
            if not (kept or computed) or len(found) < count:
                where = f"{self.layout.name}.{name}" if name else self.layout.name
                what = f"copying {self.layout.name}: a value does not fit {where} ({code})."
                raise Failed(524, what, "Choose another mask for it in sanitize.yaml; nothing was switched.")


def _into(layout: Layout, masked: Sequence[Shape], passing: Sequence[Shape]) -> str:
    through_variables = [*masked, *(shape for shape in passing if shape.document)]
    taken = {shape.name: shape.taken for shape in through_variables if shape.taken}
    places = [shape.variable if shape.name in taken else shape.name for shape in (*masked, *passing)]
    sets = ", ".join(f"{name} = {expression}" for name, expression in taken.items())
    return (
        f"{identifier(layout.name)} CHARACTER SET binary FIELDS TERMINATED BY x'1f' ESCAPED BY x'1a'"
        f" LINES TERMINATED BY x'1e' ({', '.join(places)}){f' SET {sets}' if sets else ''}"
    )
