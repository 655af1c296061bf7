"""PostgreSQL for the suite over database engines: a service of its own on the session's server."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import sql

from branchline.adapters.databases.postgresql import PostgresqlDatabase
from branchline.adapters.databases.postgresql_connection import PostgresqlServer
from branchline.ports import Snapshot
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.report import SyncReport
from tests.workshop.postgres import Server
from tests.workshop.waiting import until


class HeldUp:
    """A reading session that is stopped in the middle of its rows by a lock."""

    until_released = "id < 100 OR pg_advisory_xact_lock_shared(7)::text = ''"
    _waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        connection.execute("SELECT pg_advisory_lock(7)")

    def wait(self) -> int:
        """Until somebody is stopped; gives the session's process id."""
        found: list[tuple[int]] = []
        until(
            lambda: found.extend(self.connection.execute(f"SELECT pid {self._waiting}").fetchall()) or found
        )
        return found[0][0]

    def release(self) -> None:
        self.connection.execute("SELECT pg_advisory_unlock_all()")


class PostgresqlBench:
    """Implements `tests.workshop.benches.Bench`. `admin`: the account by which its versions are made."""

    engine: ClassVar[str] = "postgresql"
    binary: ClassVar[str] = "BYTEA"
    text: ClassVar[str] = "TEXT"
    by_key: ClassVar[str] = ""

    def __init__(self, admin: PostgresqlServer, jobs: int | None = None) -> None:
        self.admin = admin
        self.database = PostgresqlDatabase(admin, f"t{secrets.token_hex(5)}", b"a secret of the tests", jobs)

    def physical(self, version: str) -> str:
        """The name that the server has for a version."""
        return str(self.database.relationship(version)["path"])

    @contextlib.contextmanager
    def connection(self, version: str) -> Iterator[psycopg.Connection[Any]]:
        told = self.database.relationship(version)
        names = {"host": "host", "port": "port", "path": "dbname", "username": "user", "password": "password"}
        given: dict[str, Any] = {name: told[key] for key, name in names.items()}
        with contextlib.closing(psycopg.connect(client_encoding="utf8", **given)) as opened:
            yield opened

    def execute(self, version: str, script: str) -> None:
        with self.connection(version) as connection:
            connection.execute(script.encode())
            connection.commit()

    def insert(self, version: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.connection(version) as connection:
            first, *others = rows
            statement = sql.SQL("INSERT INTO {} VALUES ({})").format(
                sql.Identifier(*table.split(".")), sql.SQL(", ").join([sql.Placeholder()] * len(first))
            )
            connection.cursor().executemany(statement, [first, *others])
            connection.commit()

    def read(self, version: str, query: str) -> list[tuple[Any, ...]]:
        with self.connection(version) as connection:
            return connection.execute(query.encode()).fetchall()

    def quoted(self, name: str) -> str:
        return sql.Identifier(name).as_string(None)

    def write_through(self, snapshot: Snapshot, statement: str) -> None:
        snapshot.connection.execute(statement)

    def as_admin(self, version: str, script: str) -> None:
        """Runs statements that only a superuser may."""
        with self.admin.connect(self.physical(version)) as connection:
            connection.execute(script.encode())

    def sessions(self) -> list[str]:
        """Who is connected to a version, or works on one, other than the question itself."""
        question = (
            "SELECT usename || ': ' || left(query, 80) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND starts_with(datname, %s)"
        )
        with self.admin.connect("postgres") as connection:
            return [row[0] for row in connection.execute(question, (f"{self.database.owner}_",)).fetchall()]

    @contextlib.contextmanager
    def held_up(self, version: str) -> Iterator[HeldUp]:
        """Rows that meet `HeldUp.until_released` are not read before they may be."""
        with self.admin.connect(self.physical(version)) as connection:
            yield HeldUp(connection)

    def sync(self, policy: str, *, source: str = "one", target: str = "copy", **options: Any) -> SyncReport:
        """Into a new version; what an earlier call left is removed first."""
        self.database.remove(target)
        self.database.create(target)
        with self.database.snapshot(source) as reading, self.database.loader(target) as loader:
            return replicate(reading, loader, read_policy(policy), **options)

    def remove(self) -> None:
        for name in self.database.names():
            self.database.remove(name)
        with self.admin.connect("postgres") as connection:
            for role in (self.database.owner, self.database.reader):
                connection.execute(f'DROP ROLE IF EXISTS "{role}"')


@contextlib.contextmanager
def bench_on(server: Server, jobs: int | None = None) -> Iterator[PostgresqlBench]:
    """A service of its own on a server, removed afterwards."""
    admin, _ = PostgresqlServer.from_url(server.url_of("postgres"))
    made = PostgresqlBench(admin, jobs)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def postgresql_bench(postgres: Server) -> Iterator[PostgresqlBench]:
    with bench_on(postgres) as made:
        yield made
