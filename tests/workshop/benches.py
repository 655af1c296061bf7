"""What the suite over database engines needs of an engine beside its adapter: a way past Branchline, and its spelling of SQL."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.ports import Database, Snapshot


class Bench(Protocol):
    """One engine: an empty service of its own, and what goes on beside Branchline.

    SQL of the suite is what all engines understand; where they differ, the bench has the word. Names are not quoted
    but by `quoted`, texts are VARCHAR with a length, tables come without an engine's options.
    """

    engine: str
    binary: str
    """The type of bytes of any length."""
    text: str
    """The type of texts of any length."""
    by_key: str
    """What follows a table's definition so that its primary key is all there is to find its rows by."""

    @property
    def database(self) -> Database:
        """The service under test, without versions at the start."""

    def connection(self, version: str) -> AbstractContextManager[Any]:
        """A DB-API connection as the application has it: with what `relationship` tells, and nothing is committed by itself."""

    def execute(self, version: str, script: str) -> None:
        """Runs statements, each ended by `;` at the end of a line, and commits."""

    def insert(self, version: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Inserts whole rows."""

    def read(self, version: str, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""

    def quoted(self, name: str) -> str:
        """A name of a table or column, whatever is in it."""

    def write_through(self, snapshot: Snapshot, statement: str) -> None:
        """Runs a statement on a connection that a snapshot itself reads with. Raises the driver's error when it is refused."""


class SqliteBench:
    """Versions are files; readers and a writer get along by WAL."""

    engine: ClassVar[str] = "sqlite"
    binary: ClassVar[str] = "BLOB"
    text: ClassVar[str] = "TEXT"
    by_key: ClassVar[str] = "WITHOUT ROWID"

    def __init__(self, root: Path) -> None:
        self.database = SqliteDatabase(root)

    @contextlib.contextmanager
    def connection(self, version: str) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(str(self.database.relationship(version)["path"]))) as opened:
            opened.execute("PRAGMA journal_mode = WAL")
            yield opened

    def execute(self, version: str, script: str) -> None:
        with self.connection(version) as connection:
            connection.executescript(script)

    def insert(self, version: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.connection(version) as connection:
            first, *others = rows
            places = ", ".join("?" * len(first))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", [first, *others])
            connection.commit()

    def read(self, version: str, query: str) -> list[tuple[Any, ...]]:
        with self.connection(version) as connection:
            return connection.execute(query).fetchall()

    def quoted(self, name: str) -> str:
        return f'"{name}"'

    def write_through(self, snapshot: Snapshot, statement: str) -> None:
        snapshot.connection.execute(statement)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "mysql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """One engine after the other, each with every test that asks for it; `mysql` is Oracle's."""
    if request.param == "sqlite":
        yield SqliteBench(tmp_path / "service")
    elif request.param == "postgresql":
        yield request.getfixturevalue("postgresql_bench")
    else:
        server = request.getfixturevalue({"mariadb": "mariadb", "mysql": "oracle_mysql"}[request.param])
        with server.bench() as made:
            yield made
