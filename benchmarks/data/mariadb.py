"""MariaDB: the server that BRANCHLINE_TEST_MYSQL_URL names, else a private one with its default settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import URL, make_url

from benchmarks.data.commands import run
from benchmarks.data.profiles import Profile
from benchmarks.data.server import Account, Row, Server

AS_SHIPPED = (
    "innodb-flush-log-at-trx-commit=1",
    "innodb-doublewrite=1",
    "innodb-fast-shutdown=1",
    "innodb-buffer-pool-size=128M",
    "innodb-log-file-size=96M",
    "innodb-flush-method=O_DIRECT",
)
VARIABLE = "BRANCHLINE_TEST_MYSQL_URL"
INDEXES = """SELECT table_name, CONCAT(index_name = 'PRIMARY', ' ', GROUP_CONCAT(column_name ORDER BY seq_in_index))
FROM information_schema.statistics WHERE table_schema = DATABASE() GROUP BY table_name, index_name
UNION ALL SELECT table_name, CONCAT('to ', referenced_table_name) FROM information_schema.referential_constraints
WHERE constraint_schema = DATABASE() ORDER BY 1, 2"""


class Mariadb:
    """Implements `benchmarks.data.server.Server` with mariadb and mariadb-dump."""

    name = "MariaDB"
    reference = "mariadb-dump | mariadb"
    analyzed = False

    def __init__(self, url: URL) -> None:
        socket = url.query.get("socket") or url.query.get("unix_socket", "")
        self.account = Account(
            user=url.username or "root",
            password=url.password or "",
            host=url.host or "localhost",
            port=url.port or 3306,
            socket=socket if isinstance(socket, str) else socket[0],
        )
        self.environment: Mapping[str, str] = {"MYSQL_PWD": self.account.password}
        way = (
            [f"--socket={self.account.socket}"]
            if self.account.socket
            else [f"--host={self.account.host}", f"--port={self.account.port}"]
        )
        self.options = ["--no-defaults", *way, f"--user={self.account.user}"]

    def versions(self) -> Sequence[str]:
        [[server]] = self.rows("", "SELECT VERSION()")
        _, client = run(["mariadb-dump", "--version"])
        return f"MariaDB server {server}", client.strip()

    def settings(self) -> Mapping[str, str]:
        names = (
            "innodb_flush_log_at_trx_commit",
            "innodb_doublewrite",
            "innodb_buffer_pool_size",
            "innodb_log_file_size",
            "log_bin",
        )
        return {name: self.rows("", f"SELECT @@{name}")[0][0] for name in names}

    def make(self, database: str) -> None:
        self.rows("", f"CREATE DATABASE {database} CHARACTER SET utf8mb4")

    def drop(self, database: str) -> None:
        who = f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
        for (connection,) in self.rows("", who):
            self.rows("", f"KILL {connection}")
        self.rows("", f"DROP DATABASE IF EXISTS {database}")

    def fill(self, database: str, profile: Profile) -> None:
        for table in profile.tables:
            self.rows(database, table.ddl.format(moment="datetime"))
            load = f"LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table.name} CHARACTER SET utf8mb4"
            run(self._client(database, load), environment=self.environment, text=table.text())
        for table in profile.tables:
            for statement in (*table.after, f"ANALYZE TABLE {table.name}"):
                self.rows(database, statement)

    def settle(self) -> None:
        os.sync()

    def rows(self, database: str, query: str) -> Sequence[Row]:
        _, printed = run(self._client(database, query), environment=self.environment)
        return [tuple(line.split("\t")) for line in printed.splitlines()]

    def dump(self, source: str) -> Sequence[str]:
        return ["mariadb-dump", *self.options, "--single-transaction", "--quick", source]

    def copy(self, source: str, target: str) -> float:
        return self._piped(self.dump(source), target)

    def copy_schema(self, source: str, target: str) -> float:
        return self._piped(["mariadb-dump", *self.options, "--no-data", source], target)

    def indexes(self, database: str) -> Sequence[Row]:
        return self.rows(database, INDEXES)

    def _piped(self, dump: Sequence[str], target: str) -> float:
        seconds, _ = run(
            dump,
            ["mariadb", *self.options, target],
            environment=self.environment,
        )
        return seconds

    def _client(self, database: str, statement: str) -> list[str]:
        charset = "--default-character-set=utf8mb4"
        shape = ["--batch", "--skip-column-names", "--local-infile"]
        return [
            "mariadb",
            *self.options,
            charset,
            *shape,
            f"--execute={statement}",
            *([database] if database else []),
        ]


@contextmanager
def server() -> Iterator[Server | str]:
    """The server, or why there is none."""
    given = os.environ.get(VARIABLE)
    if given:
        yield Mariadb(make_url(given))
        return
    if shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        yield f"no MariaDB server is installed here, and {VARIABLE} names none"
        return
    from tests.workshop.mysql import private_mariadb  # noqa: PLC0415 - and with it the adapter, where it is needed

    with private_mariadb(*AS_SHIPPED) as private:
        admin = private.admin
        yield Mariadb(URL.create("mysql", admin.user, admin.password, admin.host, admin.port))
