"""PostgreSQL: the server that BRANCHLINE_TEST_POSTGRES_URL names, else a private one with its default settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import URL, make_url

from benchmarks.data.commands import run
from benchmarks.data.profiles import Profile
from benchmarks.data.server import Account, Row, Server
from tests.workshop.postgres import VARIABLE, newest_binaries, private_server

AS_SHIPPED = ("fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=128MB")
INDEXES = """SELECT tablename, regexp_replace(indexdef, '^.* USING ', '') FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"""


class Postgresql:
    """Implements `benchmarks.data.server.Server` with psql and pg_dump."""

    name = "PostgreSQL"
    reference = "pg_dump | psql"
    analyzed = True

    def __init__(self, url: URL) -> None:
        directory = url.query.get("host", "")
        self.account = Account(
            user=url.username or "postgres",
            password=url.password or "",
            host=url.host or "",
            port=url.port or 5432,
            socket=directory if isinstance(directory, str) else directory[0],
        )
        self.environment: Mapping[str, str] = {
            "PGHOST": self.account.socket or self.account.host,
            "PGPORT": str(self.account.port),
            "PGUSER": self.account.user,
            "PGPASSWORD": self.account.password,
        }

    def versions(self) -> Sequence[str]:
        [[server]] = self.rows("postgres", "SHOW server_version")
        _, client = run(["pg_dump", "--version"])
        return f"PostgreSQL server {server}", client.strip()

    def settings(self) -> Mapping[str, str]:
        names = ("fsync", "full_page_writes", "synchronous_commit", "shared_buffers", "max_wal_size")
        return {name: self.rows("postgres", f"SHOW {name}")[0][0] for name in names}

    def make(self, database: str) -> None:
        self.rows("postgres", f"CREATE DATABASE {database} TEMPLATE template0")

    def drop(self, database: str) -> None:
        self.rows("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def fill(self, database: str, profile: Profile) -> None:
        for table in profile.tables:
            self.rows(database, table.ddl.format(moment="timestamp(0)"))
            run(
                self._psql(database, f"COPY {table.name} FROM STDIN"),
                environment=self.environment,
                text=table.text(),
            )
        for table in profile.tables:
            for statement in table.after:
                self.rows(database, statement)
        self.rows(database, "VACUUM ANALYZE")

    def settle(self) -> None:
        self.rows("postgres", "CHECKPOINT")
        os.sync()

    def rows(self, database: str, query: str) -> Sequence[Row]:
        _, printed = run(self._psql(database, query), environment=self.environment)
        return [tuple(line.split("\t")) for line in printed.splitlines()]

    def dump(self, source: str) -> Sequence[str]:
        return ["pg_dump", source]

    def copy(self, source: str, target: str) -> float:
        return self._piped(self.dump(source), target)

    def copy_schema(self, source: str, target: str) -> float:
        return self._piped(["pg_dump", "--schema-only", source], target)

    def indexes(self, database: str) -> Sequence[Row]:
        return self.rows(database, INDEXES)

    def _piped(self, dump: Sequence[str], target: str) -> float:
        restore = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", target]
        seconds, _ = run(dump, restore, environment=self.environment)
        return seconds

    def _psql(self, database: str, statement: str) -> list[str]:
        settings = ["-v", "ON_ERROR_STOP=1", "-P", "null=NULL"]
        return ["psql", "-X", "-q", "-A", "-t", "-F", "\t", *settings, "-c", statement, database]


@contextmanager
def server() -> Iterator[Server | str]:
    """The server, or why there is none."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Postgresql(make_url(given))
        return
    binaries = newest_binaries()
    if binaries is None:
        yield f"no PostgreSQL server is installed here, and {VARIABLE} names none"
        return
    with private_server(binaries, *AS_SHIPPED) as private:
        yield Postgresql(private.url)
