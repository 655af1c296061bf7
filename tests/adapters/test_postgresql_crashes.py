"""A PostgreSQL server that crashes, or whose disk is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from branchline.errors import Failed, Unavailable
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.adapters.test_postgresql_failures import CANARY, ROWS, STOPPED, begun, failed
from tests.workshop.postgres import Server, newest_binaries, private_server
from tests.workshop.postgresql_bench import PostgresqlBench, bench_on
from tests.workshop.waiting import until


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One that may be hurt, and writes to its disk as late as it can."""
    binaries = newest_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with private_server(binaries, "wal_writer_delay=10s", "wal_writer_flush_after=1GB") as server:
        yield server


def test_a_server_that_crashes_and_comes_back_is_one_clear_error(own_server: Server, seen) -> None:
    with bench_on(own_server, jobs=1) as bench:
        bench.database.create("one")
        bench.execute("one", ROWS)
        with pytest.raises(psycopg.OperationalError), bench.held_up("one") as reading:
            sync = begun(bench, STOPPED["masked"])
            os.kill(reading.wait(), signal.SIGKILL)
            error = failed(sync, seen)
            reading.release()
        assert (type(error), error.number) == (Unavailable, 523)
        until(lambda: _answers(bench))
        bench.database.remove("copy")
        assert bench.database.names() == ["one"]
        assert bench.read("one", "SELECT count(*) FROM first") == [(3000,)]


def test_a_server_that_crashes_after_a_sync_or_a_clone_has_lost_nothing_of_it(own_server: Server) -> None:
    with bench_on(own_server) as bench:
        bench.database.create("one")
        bench.execute("one", "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'raw')")
        bench.sync("tables: {t: {columns: {id: keep, v: keep}}}\ndisarm: {sql: [\"UPDATE t SET v = 'off'\"]}")
        _crash(bench)
        assert bench.read("copy", "SELECT v FROM t") == [("off",)]
        bench.execute("copy", "CREATE INDEX further ON t (v)")
        with bench.connection("copy"):
            bench.database.clone("copy", "clone")
        _crash(bench)
        indexes = "SELECT indexname FROM pg_indexes WHERE tablename = 't' ORDER BY 1"
        assert bench.read("clone", indexes) == [("further",), ("t_pkey",)]


def _crash(bench: PostgresqlBench) -> None:
    """The server ends all sessions and starts from what is on disk."""
    with bench.connection("one") as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    until(lambda: _answers(bench))


def _answers(bench: PostgresqlBench) -> bool:
    try:
        return bool(bench.database.names())
    except Unavailable:
        return False


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """24 MiB that the server's user may write."""
    place = Path(tempfile.mkdtemp(prefix="small-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        place.rmdir()
        pytest.skip("no small disk can be mounted here: that takes root")
    inside = place / "space"
    inside.mkdir()
    place.chmod(0o755)
    shutil.chown(inside, "postgres", "postgres")
    inside.chmod(0o700)
    yield inside
    subprocess.run(["umount", place], check=True)
    place.rmdir()


def test_a_full_disk_of_the_target_is_one_clear_error(own_server: Server, small_disk: Path, seen) -> None:
    with bench_on(own_server) as bench:
        bench.database.create("one")
        bench.execute(
            "one",
            f"CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, repeat('{CANARY}', 10) FROM generate_series(1, 200000) i",
        )
        bench.database.create("copy")
        with bench.admin.connect("postgres") as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'".encode())
            admin.execute(f'ALTER DATABASE "{bench.physical("copy")}" SET TABLESPACE small'.encode())
        policy = read_policy("tables: {t: {columns: {id: keep, v: text}}}")
        with (
            pytest.raises(Failed, match=r"no space is left on the server's disk \(53100\)") as caught,
            bench.database.snapshot("one") as source,
            bench.database.loader("copy") as target,
        ):
            replicate(source, target, policy)
        assert "Zebulon" not in seen(caught.value)
        bench.database.remove("copy")
        own_server.execute("DROP TABLESPACE small")
        assert bench.database.names() == ["one"]
