"""A MariaDB or MySQL server for tests, and services to throw away.

BRANCHLINE_TEST_MYSQL_URL names a MariaDB server whose account may do everything. Without it a private one is started from the
binaries of this machine, on a socket and a port of its own, and ended with the session. No other server is ever asked.
Oracle's MySQL is where scripts/oracle_mysql.sh has put it, or skipped.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pymysql
import pytest

from branchline.adapters.databases.mysql import MysqlDatabase
from branchline.adapters.databases.mysql_connection import MysqlServer
from branchline.ports import Snapshot
from tests.workshop.mysql_servers import PATH, mariadb_server, mysql_server, mysqld
from tests.workshop.thorough import SERVERS

VARIABLE = "BRANCHLINE_TEST_MYSQL_URL"


@dataclass(frozen=True)
class Server:
    """`admin` may do everything."""

    admin: MysqlServer
    process: subprocess.Popen[bytes] | None = None
    oracle: bool = False

    @contextmanager
    def connected(self, database: str = "", **account: Any) -> Iterator[pymysql.Connection]:
        """Past Branchline, each statement at once; as another account where one is given."""
        chosen = {"user": self.admin.user, "password": self.admin.password, "charset": "utf8mb4", **account}
        place = {"unix_socket": self.admin.socket} if self.admin.socket else {"host": self.admin.host}
        with closing(
            pymysql.connect(
                **place,
                port=self.admin.port,
                database=database or None,
                autocommit=True,
                ssl_disabled=True,
                **chosen,
            )
        ) as connection:
            connection.cursor().execute("SET SESSION time_zone = '+00:00'")
            yield connection

    def execute(self, script: str, database: str = "") -> None:
        """Statements, each ended by `;` at the end of a line."""
        with self.connected(database) as connection, connection.cursor() as cursor:
            for statement in statements(script):
                cursor.execute(statement)

    def read(self, query: str, database: str = "") -> list[tuple[Any, ...]]:
        with self.connected(database) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty one that Branchline did not make."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE IF EXISTS {name}")

    @contextmanager
    def service(self, **options: Any) -> Iterator[MysqlDatabase]:
        """A service of its own; all its versions are removed afterwards."""
        made = MysqlDatabase(self.admin, f"t{secrets.token_hex(4)}", secrets.token_bytes(32), **options)
        try:
            yield made
        finally:
            for name in made.names():
                made.remove(name)

    @contextmanager
    def bench(self) -> Iterator["MysqlBench"]:
        with self.service() as service:
            yield MysqlBench(self, service)


@dataclass
class MysqlBench:
    """Versions are databases of one server."""

    server: Server
    database: MysqlDatabase
    engine: ClassVar[str] = "mysql"
    binary: ClassVar[str] = "LONGBLOB"
    text: ClassVar[str] = "LONGTEXT"
    by_key: ClassVar[str] = ""

    @contextmanager
    def connection(self, version: str) -> Iterator[pymysql.Connection]:
        told = self.database.relationship(version)
        place = (
            {"unix_socket": told["socket"]}
            if "socket" in told
            else {"host": told["host"], "port": told["port"]}
        )
        account = {"user": told["username"], "password": told["password"], "database": told["path"]}
        with closing(pymysql.connect(**place, **account, charset="utf8mb4", ssl_disabled=True)) as connection:
            yield connection

    def name(self, version: str) -> str:
        return str(self.database.relationship(version)["path"])

    def execute(self, version: str, script: str) -> None:
        self.server.execute(script, self.name(version))

    def insert(self, version: str, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        first, *others = rows
        with self.server.connected(self.name(version)) as connection, connection.cursor() as cursor:
            places = ", ".join(["%s"] * len(first))
            cursor.executemany(f"INSERT INTO {table} VALUES ({places})", [first, *others])

    def read(self, version: str, query: str) -> list[tuple[Any, ...]]:
        return self.server.read(query, self.name(version))

    def quoted(self, name: str) -> str:
        return f"`{name}`"

    def write_through(self, snapshot: Snapshot, statement: str) -> None:
        snapshot.sessions[0].run(statement)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    given = os.environ.get(VARIABLE)
    if given:
        yield Server(MysqlServer.from_url(given))
        return
    if shutil.which("mariadbd", path=PATH) is None:
        missing = f"no MariaDB server is installed here, and {VARIABLE} names none"
        if SERVERS:
            pytest.fail(missing)
        pytest.skip(missing)
    with private_mariadb() as server:
        yield server


@contextmanager
def private_mariadb(*settings: str) -> Iterator[Server]:
    with mariadb_server(*settings) as (root, process):
        Server(root).execute("DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;")
        yield Server(_administrator(root), process)


@pytest.fixture(scope="session")
def oracle_mysql() -> Iterator[Server]:
    program = mysqld()
    if program is None:
        pytest.skip("Oracle's MySQL is not here: sh scripts/oracle_mysql.sh")
    with mysql_server(program) as (root, process):
        yield Server(_administrator(root), process, oracle=True)


def _administrator(root: MysqlServer) -> MysqlServer:
    """An account with a password, made by one that has none."""
    password = secrets.token_urlsafe(9) + "%@:/"
    Server(root).execute(
        f"CREATE USER ada IDENTIFIED BY '{password}';\nGRANT ALL PRIVILEGES ON *.* TO ada WITH GRANT OPTION;"
    )
    return MysqlServer(root.host, root.port, "ada", password)


@pytest.fixture(params=["mariadb", "mysql"])
def server(request: pytest.FixtureRequest) -> Server:
    """One and the other, each with every test that asks for it."""
    made: Server = request.getfixturevalue("oracle_mysql" if request.param == "mysql" else "mariadb")
    return made


@pytest.fixture
def mysql_bench(server: Server) -> Iterator[MysqlBench]:
    """On each kind of server in turn."""
    with server.bench() as made:
        yield made


def numbers(count: int) -> str:
    """A table of a query with the column `seq`, which counts from 1."""
    digits = range(len(str(count)))
    ten = f"(SELECT {' UNION ALL SELECT '.join(['0 AS d', *map(str, range(1, 10))])})"
    seq = " + ".join(f"{10**at} * n{at}.d" for at in digits)
    tables = ", ".join(f"{ten} AS n{at}" for at in digits)
    return (
        f"(SELECT seq FROM (SELECT 1 + {seq} AS seq FROM {tables}) AS every WHERE seq <= {count}) AS numbers"
    )


def statements(script: str) -> Iterator[str]:
    for statement in f"{script.strip()}\n".split(";\n"):
        if statement.strip():
            yield statement.strip()
