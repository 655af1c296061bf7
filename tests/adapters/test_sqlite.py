"""What only SQLite has: files, their traps, tables without a way to their rows, virtual tables."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NoReturn

import pytest

from branchline.errors import Failed, Unavailable
from tests.workshop.benches import SqliteBench


@pytest.fixture
def bench(tmp_path: Path) -> SqliteBench:
    made = SqliteBench(tmp_path / "service")
    made.database.create("one")
    return made


def path(bench: SqliteBench) -> Path:
    return Path(str(bench.database.relationship("one")["path"]))


def test_an_application_is_told_an_absolute_path(bench: SqliteBench) -> None:
    assert bench.database.relationship("one")["scheme"] == "sqlite"
    assert path(bench).is_absolute()


def test_a_half_clone_and_what_lies_beside_it_go_by_name(bench: SqliteBench) -> None:
    folder = path(bench).parents[1]
    for ending in ("-wal", "-shm", "-journal"):
        Path(f"{path(bench)}{ending}").write_bytes(b"x")
    bench.database.remove("one")
    assert [entry for entry in folder.rglob("*") if entry.is_file()] == []


def test_rows_without_a_way_to_them_and_virtual_tables_are_known_as_such(bench: SqliteBench) -> None:
    bench.execute(
        "one",
        """CREATE TABLE p (id INTEGER PRIMARY KEY, email VARCHAR(9) NOT NULL);
        CREATE UNIQUE INDEX u ON p (lower(email));
        CREATE TABLE c (a INT PRIMARY KEY, x REFERENCES p) WITHOUT ROWID;
        CREATE TABLE odd (rowid TEXT, oid TEXT, _rowid_ TEXT);
        CREATE VIRTUAL TABLE f USING fts5(z);""",
    )
    with bench.database.snapshot("one") as snapshot:
        tables = snapshot.schema().tables
    email = tables["p"].column("email")
    assert email is not None
    assert email.unique
    assert tables["c"].foreign_keys[0].referred == ("id",)
    assert tables["odd"].unsupported
    assert tables["f"].module == "fts5"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_one_clear_error(bench: SqliteBench, content: bytes) -> None:
    path(bench).write_bytes(content)
    with pytest.raises((Failed, Unavailable)) as caught, bench.database.snapshot("one"):
        pass
    assert caught.value.__context__ is None


def test_when_a_mask_fails_nobody_reads_the_source_any_more(bench: SqliteBench) -> None:
    bench.execute(
        "one",
        "CREATE TABLE t (v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) INSERT INTO t SELECT hex(randomblob(100)) FROM n;",
    )
    bench.database.create("two")

    def broken(_: object) -> NoReturn:
        raise Failed(517, "The mask is broken.", "Choose another.")

    with bench.database.snapshot("one") as source, bench.database.loader("two") as loader:
        loader.begin(source)
        with pytest.raises(Failed, match="The mask is broken") as caught:
            loader.copy("t", ["v"], broken)
        reading = [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]
    assert caught.value.number == 517
    assert reading == []
