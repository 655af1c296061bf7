"""A state database that is locked, read-only, corrupt or newer: one clear error, and nothing is changed."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from branchline.errors import BranchlineError, Failed, Refused, Unavailable
from branchline.launch import run_flow
from branchline.state import database
from branchline.state.store import open_store
from tests.workshop.home import Home
from tests.workshop.litter import litter

NOBODY = 65534


def state_of(home: Home) -> str:
    return str(home.path / "home/state/branchline.db")


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """By another process."""
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN EXCLUSIVE'); print(1, flush=True); input()"
    command = [sys.executable, "-c", script, state_of(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "1\n"
        yield
        other.kill()


def test_a_locked_state_database_is_told_as_busy(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with locked(home), pytest.raises(Unavailable, match="stayed locked for") as said:
        home.run("deploy_environment", environment="store/master")
    assert said.value.number == 301
    with home.opened() as platform:
        assert platform.store.activities.recent() == []
        assert litter(platform, home) == []


def test_a_state_database_that_is_locked_in_the_middle_is_left_to_recovery(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with home.opened() as platform:
        export = platform.repository

        def then_locked(project: str) -> object:
            if platform.store.leases.held():
                stack.__enter__()
            return export(project)

        stack = locked(home)
        object.__setattr__(platform, "repository", then_locked)
        with pytest.raises(BranchlineError) as said:
            run_flow("deploy_environment", {"environment": "store/master"})
        assert said.value.number == 316
        assert "stayed locked" in said.value.message
        stack.__exit__(None, None, None)
        object.__setattr__(platform, "repository", export)
        (ended,) = platform.operations.recover()
        assert ended.result == "failure"
        assert litter(platform, home) == []


@pytest.mark.parametrize("size", [0, 2000], ids=["its beginning", "its middle"])
def test_a_damaged_state_database_is_said_to_be_damaged(home: Home, size: int) -> None:
    path = state_of(home)
    with closing(sqlite3.connect(path)) as state:
        state.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:  # noqa: PTH123
        file.seek(size)
        file.write(b"\xff" * 30_000)
    with pytest.raises(Failed, match="is damaged") as said:
        home.run("deploy_environment", environment="store/master")
    assert said.value.number == 303
    assert "back-up" in said.value.hint


def test_a_state_database_of_a_newer_branchline_is_left_alone(home: Home) -> None:
    with closing(sqlite3.connect(state_of(home))) as state:
        state.execute("UPDATE alembic_version SET version_num = '9999'")
        state.commit()
    with pytest.raises(Refused, match="schema 9999, made by a newer Branchline") as said:
        home.run("deploy_environment", environment="store/master")
    assert said.value.number == 305
    with closing(sqlite3.connect(state_of(home))) as state:
        assert state.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def test_a_state_database_that_may_not_be_written_says_so() -> None:
    """By a child that gives its rights up, as root may write everything."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        open_store(f"sqlite:///{place}/branchline.db", directory / "key").database.close()
        child = os.fork()
        if child == 0:
            code = 0
            try:
                directory.chmod(0o555)
                (directory / "branchline.db").chmod(0o444)
                if os.geteuid() == 0:
                    os.setgid(NOBODY)
                    os.setuid(NOBODY)
                open_store(f"sqlite:///{place}/branchline.db", directory / "key")
            except BranchlineError as error:
                code = error.number - 300
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
        directory.chmod(0o755)
