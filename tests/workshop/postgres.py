"""A PostgreSQL server for tests, and databases to throw away.

BRANCHLINE_TEST_POSTGRES_URL names a server whose user may create databases. Without it a private one is started from
the binaries of this machine, on a socket of its own, and ended with the session. No other server is ever asked.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL, make_url

from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.private import directory_for_all, dying_with_parent, user
from tests.workshop.thorough import SERVERS
from tests.workshop.waiting import until

VARIABLE = "BRANCHLINE_TEST_POSTGRES_URL"
UNSAFE_BUT_QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB")


@dataclass(frozen=True)
class Server:
    """`url` is of a user who may create databases."""

    url: URL

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty one, with its password; removed afterwards, whoever is connected to it."""
        name = f"branchline_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url_of(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url_of(self, database: str, **changes: Any) -> str:
        return self.url.set(database=database, **changes).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        with connected(self.url.render_as_string(hide_password=False)) as connection:
            connection.execute(statement)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Past Branchline, each statement at once."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    given = os.environ.get(VARIABLE)
    if given:
        yield Server(make_url(given).set(drivername="postgresql+psycopg"))
        return
    binaries = newest_binaries()
    if binaries is None:
        missing = f"no PostgreSQL server is installed here, and {VARIABLE} names none"
        if SERVERS:
            pytest.fail(missing)
        pytest.skip(missing)
    with private_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """An empty database of its own."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def home_on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Home]:
    """As `home`, with its state on PostgreSQL."""
    made = Home(tmp_path / "branchline", state_url=postgres_url).make()
    made.commit(application(1))
    made.init()
    yield made
    made.remove()


def newest_binaries() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found and (initdb := shutil.which("initdb")):
        return Path(initdb).resolve().parent
    return max(found, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def private_server(binaries: Path, *settings: str) -> Iterator[Server]:
    """With a password, an order of texts that is not that of bytes, and an end with this process, however that ends."""
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=directory_for_all()))
    account = user("postgres")
    password = secrets.token_urlsafe(9) + "%@:/"
    options: dict[str, Any] = (
        {"user": account, "group": account, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    try:
        (directory / "password").write_text(password)
        for path in (directory, directory / "password"):
            shutil.chown(path, account) if options else None
        data = str(directory / "data")
        directory.chmod(0o755)  # whoever has the password may knock: sandboxed applications too
        order = ["--locale-provider=icu", "--icu-locale=en", "--locale=C"] if _has_icu(binaries) else []
        subprocess.run(
            [
                *(binaries / "initdb", "-D", data, "-U", "ada", "-A", "scram-sha-256"),
                *("--encoding=UTF8", *order, "--no-sync", f"--pwfile={directory}/password"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            cwd=directory,
            **options,
        )
        (directory / "password").unlink()
        url = URL.create(
            "postgresql+psycopg", "ada", password, query={"host": str(directory)}, database="postgres"
        )
        with _serving(binaries, directory, settings, url, options):
            yield Server(url)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def standby_of(primary: Server, binaries: Path) -> Iterator[Server]:
    """Follows a private server, and answers what only reads."""
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir=directory_for_all()))
    account = user("postgres")
    options: dict[str, Any] = (
        {"user": account, "group": account, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    try:
        shutil.chown(directory, account) if options else None
        subprocess.run(
            [binaries / "pg_basebackup", "-D", directory / "data", "-R", "-c", "fast", "--no-sync"],
            check=True,
            env={
                "PATH": os.environ["PATH"],
                "PGHOST": str(primary.url.query["host"]),
                "PGUSER": str(primary.url.username),
                "PGPASSWORD": str(primary.url.password),
            },
            cwd=directory,
            **options,
        )
        url = primary.url.set(query={"host": str(directory)})
        with _serving(binaries, directory, (), url, options):
            yield Server(url)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _serving(
    binaries: Path, directory: Path, settings: tuple[str, ...], url: URL, options: dict[str, Any]
) -> Iterator[None]:
    flags = [each for setting in (*UNSAFE_BUT_QUICK, *settings) for each in ("-c", setting)]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", directory / "data", "-k", directory, "-c", "listen_addresses=", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        cwd=directory,
        start_new_session=True,
        preexec_fn=dying_with_parent(signal.SIGQUIT),  # noqa: PLW1509 - three lines of C, before any thread of a test
        **options,
    )
    try:
        until(lambda: server.poll() is not None or _answers(url))
        assert server.poll() is None, "PostgreSQL did not start"
        yield
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


def _answers(url: URL) -> bool:
    with suppress(psycopg.OperationalError), connected(url.render_as_string(hide_password=False)):
        return True
    return False


def _has_icu(binaries: Path) -> bool:
    said = subprocess.run(
        [binaries / "initdb", "--help"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return "--icu-locale" in said
