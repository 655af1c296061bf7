"""What every database adapter promises: versions found by name, copies of one moment, removal that never minds."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.ports import Database, Snapshot


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    return SqliteDatabase(tmp_path / "service")


def path(database: Database, name: str) -> str:
    return str(database.relationship(name)["path"])


def execute(database: Database, name: str, script: str) -> None:
    with contextlib.closing(sqlite3.connect(path(database, name))) as connection:
        connection.executescript(script)


def ids(snapshot: Snapshot) -> list[int]:
    return [value for block in snapshot.blocks("t", ["id"]) for value in block.frame["id"].to_list()]


def test_a_version_is_made_found_and_removed_by_name(database: Database) -> None:
    assert database.names() == []
    database.create("one")
    database.create("two")
    assert database.names() == ["one", "two"]
    with pytest.raises(Refused):
        database.create("one")
    database.remove("one")
    database.remove("one")
    assert database.names() == ["two"]
    with pytest.raises(BadInput):
        database.size("one")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "A", "x" * 200, "a\n"])
def test_a_name_that_is_no_name_is_refused(database: Database, name: str) -> None:
    for use in (database.create, database.remove, database.relationship):
        with pytest.raises(BadInput):
            use(name)


def test_an_application_is_told_an_absolute_path(database: Database) -> None:
    database.create("one")
    told = database.relationship("one")
    assert told["scheme"] == "sqlite"
    assert Path(str(told["path"])).is_absolute()


def test_a_clone_is_the_state_at_one_moment_with_its_users_going_on(database: Database) -> None:
    database.create("one")
    execute(
        database,
        "one",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)",
    )
    with contextlib.closing(sqlite3.connect(path(database, "one"))) as user:
        user.execute("INSERT INTO t VALUES (2)")
        database.clone("one", "two")
        user.commit()
    execute(database, "one", "DELETE FROM t")
    with database.snapshot("two") as copy:
        assert ids(copy) == [1]
    assert database.size("two") > 0
    with pytest.raises(Refused):
        database.clone("one", "two")
    with pytest.raises(BadInput):
        database.clone("none", "three")


def test_a_half_clone_and_what_lies_beside_it_go_by_name(database: Database) -> None:
    database.create("one")
    for ending in ("-wal", "-shm", "-journal"):
        Path(path(database, "one") + ending).write_bytes(b"x")
    folder = Path(path(database, "one")).parents[1]
    database.remove("one")
    assert [entry for entry in folder.rglob("*") if entry.is_file()] == []


def test_a_snapshot_does_not_move_and_cannot_be_written_through(database: Database) -> None:
    database.create("one")
    execute(
        database,
        "one",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)",
    )
    with database.snapshot("one") as snapshot:
        execute(database, "one", "INSERT INTO t VALUES (2)")
        assert ids(snapshot) == [1]
        assert snapshot.count("t") == 1
        assert snapshot.count("t", "id > 1") == 0
    with database.snapshot("one") as snapshot:
        assert ids(snapshot) == [1, 2]
        writing = snapshot.connection  # type: ignore[attr-defined]
        with pytest.raises(sqlite3.OperationalError):
            writing.execute("INSERT INTO t VALUES (3)")


def test_blocks_hold_every_row_once_in_bounded_size(database: Database) -> None:
    database.create("one")
    execute(database, "one", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    with contextlib.closing(sqlite3.connect(path(database, "one"))) as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((i * 3, "x" * 4000) for i in range(9000)))
        connection.commit()
    with database.snapshot("one") as snapshot:
        blocks = [block.frame for block in snapshot.blocks("t", ["id", "v"], where="id % 2 = 0")]
    assert [value for frame in blocks for value in frame["id"].to_list()] == list(range(0, 27000, 6))
    assert max(frame.estimated_size() for frame in blocks) < 2**26
    assert len(blocks) > 1


def test_rows_of_a_keep_list_are_flagged_and_null_is_no(database: Database) -> None:
    database.create("one")
    execute(
        database,
        "one",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, NULL), (5, 'b')",
    )
    with database.snapshot("one") as snapshot:
        (block,) = snapshot.blocks("t", ["v"], keep="v = 'a'")
    assert block.keep is not None
    assert block.keep.to_list() == [True, False, False]


@pytest.mark.parametrize(
    "condition",
    ["nocolumn = 1", "1) UNION SELECT 1 --", "1; DROP TABLE t", "1) OR (1", "'", "id = (", "/* x"],
)
def test_a_condition_that_is_not_one_expression_is_explained(database: Database, condition: str) -> None:
    database.create("one")
    execute(database, "one", "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with database.snapshot("one") as snapshot:
        assert snapshot.probe("t", condition)
        assert not snapshot.probe("t", "id IN (SELECT id FROM t) AND ')' <> '('")


def test_the_schema_knows_keys_unique_columns_and_what_is_generated(database: Database) -> None:
    database.create("one")
    execute(
        database,
        "one",
        """CREATE TABLE p (id INTEGER PRIMARY KEY, email VARCHAR(9) NOT NULL, low TEXT AS (lower(email)), b BLOB);
        CREATE UNIQUE INDEX u ON p (lower(email));
        CREATE TABLE c (a INT, b INT, x REFERENCES p, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE odd (rowid TEXT, oid TEXT, _rowid_ TEXT);
        CREATE VIRTUAL TABLE f USING fts5(z);""",
    )
    with database.snapshot("one") as snapshot:
        tables = snapshot.schema().tables
    assert set(tables) == {"p", "c", "odd", "f"}
    email, low = tables["p"].column("email"), tables["p"].column("low")
    assert email is not None
    assert (email.kind, email.unique, email.nullable) == ("text", True, False)
    assert low is not None
    assert low.generated
    assert tables["c"].foreign_keys[0].referred == ("id",)
    assert tables["odd"].unsupported
    assert tables["f"].module == "fts5"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_one_clear_error(database: Database, content: bytes) -> None:
    database.create("one")
    Path(path(database, "one")).write_bytes(content)
    with pytest.raises((Failed, Unavailable)) as caught, database.snapshot("one"):
        pass
    assert caught.value.__context__ is None


def test_a_version_that_is_not_empty_is_not_loaded_into(database: Database) -> None:
    database.create("one")
    execute(database, "one", "CREATE TABLE t (id)")
    with pytest.raises(Refused), database.loader("one"):
        pass


@pytest.mark.parametrize("table", ["t", "keyed"])
def test_the_rows_of_a_copys_block_are_found_again_unless_their_key_was_masked(
    database: Database, table: str
) -> None:
    database.create("one")
    execute(
        database,
        "one",
        """CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (3, 'a'), (9, 'b'), (12, NULL);
        CREATE TABLE keyed (id TEXT, n INT, v TEXT, PRIMARY KEY (id, n)) WITHOUT ROWID;
        INSERT INTO keyed SELECT id, 1, v FROM t""",
    )
    database.clone("one", "copy")
    execute(database, "copy", f"UPDATE {table} SET v = 'masked'")
    execute(database, "one", f"DELETE FROM {table} WHERE v = 'b'")
    with database.snapshot("one") as source, database.snapshot("copy") as copy:
        (block,) = copy.blocks(table, ["v"])
        held = dict(
            zip(range(3), source.cells(table, "v", block.locator, range(3), ["v"]) or (), strict=True)
        )
        assert sorted(map(str, held.values())) == ["None", "None", "a"]
        assert source.cells(table, "v", block.locator, [0], ["id", "v"]) is None


def test_equal_values_of_a_row_are_found_whatever_their_case_and_type(database: Database) -> None:
    database.create("one")
    execute(
        database,
        "one",
        """CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, "a b" TEXT, n INTEGER);
        INSERT INTO t VALUES (1, 'NG', 'ng', 5), (2, '', '', 5), (3, '7', 'x', 7), (4, NULL, NULL, NULL), (5, 'x', 'y', 0)""",
    )
    with database.snapshot("one") as snapshot:
        assert snapshot.count("t", snapshot.equal("k", ["a b"])) == 1
        assert snapshot.count("t", snapshot.equal("k", ["a b", "n"])) == 2
