"""A MariaDB server for tests, and services to throw away.

BRANCHLINE_TEST_MYSQL_URL names a server whose account may do everything. Without it a private one is started from the binaries of
this machine, on a socket and a port of its own, and ended with the session. No other server is ever asked.
"""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pymysql
import pytest

from branchline.adapters.databases.mysql import MysqlDatabase
from branchline.adapters.databases.mysql_connection import MysqlServer
from branchline.ports import Snapshot
from tests.workshop.thorough import SERVERS
from tests.workshop.waiting import until

VARIABLE = "BRANCHLINE_TEST_MYSQL_URL"
UNSAFE_BUT_QUICK = (
    "innodb-flush-log-at-trx-commit=0",
    "innodb-doublewrite=0",
    "innodb-fast-shutdown=2",
    "innodb-buffer-pool-size=64M",
    "innodb-log-file-size=32M",
    "innodb-flush-method=nosync",
    "sync-binlog=0",
    "skip-log-bin",
    "skip-name-resolve",
    "performance-schema=off",
    "max-allowed-packet=64M",
)
PDEATHSIG = 1


@dataclass(frozen=True)
class Server:
    """`admin` may do everything."""

    admin: MysqlServer
    process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def connected(self, database: str = "", **account: Any) -> Iterator[pymysql.Connection]:
        """Past Branchline, each statement at once; as another account where one is given."""
        chosen = {"user": self.admin.user, "password": self.admin.password, **account}
        place = {"unix_socket": self.admin.socket} if self.admin.socket else {"host": self.admin.host}
        with closing(
            pymysql.connect(
                **place,
                port=self.admin.port,
                database=database or None,
                autocommit=True,
                charset="utf8mb4",
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
    if shutil.which("mariadbd", path=_path()) is None:
        missing = f"no MariaDB server is installed here, and {VARIABLE} names none"
        if SERVERS:
            pytest.fail(missing)
        pytest.skip(missing)
    with private_server() as server:
        yield server


@pytest.fixture
def mysql_bench(mariadb: Server) -> Iterator[MysqlBench]:
    with mariadb.service() as service:
        yield MysqlBench(mariadb, service)


def statements(script: str) -> Iterator[str]:
    for statement in f"{script.strip()}\n".split(";\n"):
        if statement.strip():
            yield statement.strip()


@contextmanager
def private_server(*settings: str) -> Iterator[Server]:
    """With a password, and an end with this process, however that ends."""
    directory = Path(tempfile.mkdtemp(prefix="my-", dir=_directory_for_all()))
    user = _user()
    options: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {"PATH": _path(), "LC_ALL": "C"}
    try:
        if options:
            shutil.chown(directory, user)
        data = directory / "data"
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"),
                *("--auth-root-authentication-method=normal", "--innodb-log-file-size=32M"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=directory,
            **options,
        )
        port = _free_port()
        server = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={directory}/socket"),
                *(
                    f"--port={port}",
                    "--bind-address=127.0.0.1",
                    f"--pid-file={directory}/pid",
                    f"--tmpdir={directory}",
                ),
                *(f"--{setting}" for setting in (*UNSAFE_BUT_QUICK, *settings)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=directory,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - three lines of C, before any thread of a test
            **options,
        )
        try:
            password = secrets.token_urlsafe(9) + "%@:/"
            admin = MysqlServer("127.0.0.1", port, "root", "", f"{directory}/socket")
            until(lambda: server.poll() is not None or _answers(admin))
            assert server.poll() is None, "MariaDB did not start"
            Server(admin).execute(
                f"DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\nCREATE USER ada IDENTIFIED BY '{password}';\n"
                "GRANT ALL PRIVILEGES ON *.* TO ada WITH GRANT OPTION;"
            )
            yield Server(MysqlServer("127.0.0.1", port, "ada", password), server)
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)


def _answers(admin: MysqlServer) -> bool:
    with suppress(pymysql.MySQLError), Server(admin).connected():
        return True
    return False


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _user() -> str:
    """As root the server asks for another user."""
    with suppress(KeyError):
        return pwd.getpwnam("mysql").pw_name
    return "nobody"


def _directory_for_all() -> str:
    """Where another user gets in too: the temporary directory, unless one above it is closed to others."""
    wanted = Path(tempfile.gettempdir()).resolve()
    if os.geteuid() != 0 or all(path.stat().st_mode & 0o001 for path in (wanted, *wanted.parents)):
        return str(wanted)
    return "/tmp"
