"""Private servers for tests: MariaDB's of this machine, and Oracle's MySQL as scripts/oracle_mysql.sh puts it into .cache."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql

from branchline.adapters.databases.mysql_connection import MysqlServer, Session
from branchline.errors import BranchlineError
from tests.workshop.private import directory_for_all, dying_with_parent, user
from tests.workshop.waiting import until

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
UNSAFE_BUT_QUICK = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-fast-shutdown=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-method=nosync",
    "--sync-binlog=0",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--performance-schema=off",
    "--max-allowed-packet=64M",
)
Started = tuple[MysqlServer, subprocess.Popen[bytes]]


@contextmanager
def mariadb_server(*settings: str) -> Iterator[Started]:
    """With an account root that has no password, on a socket."""
    install = ["mariadb-install-db", "--no-defaults", "--skip-test-db", "--innodb-log-file-size=32M"]
    install += ["--auth-root-authentication-method=normal"]
    run = ["mariadbd", "--no-defaults", "--innodb-log-file-size=32M"]
    with _private(install, run, user("mysql"), settings) as started:
        yield started


@contextmanager
def mysql_server(program: str) -> Iterator[Started]:
    """As MariaDB's. What it does not do unless it is told to, and Branchline needs, is `local-infile`."""
    run = [program, "--no-defaults", "--local-infile=ON", "--mysqlx=OFF", "--secure-file-priv=NULL"]
    with _private([program, "--no-defaults", "--initialize-insecure"], run, None, ()) as started:
        yield started


def mysqld() -> str | None:
    """Oracle's server program, if it is here."""
    beside = Path(__file__).parents[2] / ".cache/oracle-mysql/mysqld"
    return str(beside) if beside.exists() else None


@contextmanager
def _private(
    install: Sequence[str], run: Sequence[str], account: str | None, settings: Sequence[str]
) -> Iterator[Started]:
    """On a socket and a port of its own, ended with this process, however that ends. `account`: whom it runs as, when this is root."""
    root = os.geteuid() == 0
    directory = Path(tempfile.mkdtemp(prefix="my-", dir=directory_for_all()))
    options: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {"PATH": PATH, "LC_ALL": "C"},
        "cwd": directory,
    }
    if root and account:
        shutil.chown(directory, account)
        options |= {"user": account, "group": account, "extra_groups": []}
    common = [f"--datadir={directory}/data", *(["--user=root"] if root and not account else [])]
    try:
        subprocess.run([*install, *common], check=True, **options)
        port = _free_port()
        places = [f"--socket={directory}/socket", f"--port={port}", f"--pid-file={directory}/pid"]
        places += [f"--tmpdir={directory}", "--bind-address=127.0.0.1"]
        chosen = [*UNSAFE_BUT_QUICK, *(f"--{setting}" for setting in settings)]
        process = subprocess.Popen(
            [*run, *common, *places, *chosen],
            start_new_session=True,
            preexec_fn=dying_with_parent(signal.SIGKILL),  # noqa: PLW1509 - three lines of C, before any thread of a test
            **options,
        )
        try:
            admin = MysqlServer("127.0.0.1", port, "root", "", f"{directory}/socket")
            until(lambda: process.poll() is not None or _answers(admin))
            assert process.poll() is None, f"{run[0]} did not start"
            yield admin, process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _answers(admin: MysqlServer) -> bool:
    with suppress(BranchlineError, pymysql.MySQLError):
        Session(admin).close()
        return True
    return False


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
