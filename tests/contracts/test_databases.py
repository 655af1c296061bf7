"""What every database adapter promises: versions found by name, copies of one moment, removal that never minds.

Each engine brings a bench (tests/workshop/benches.py); what only one engine has is in tests/adapters/.
"""

from __future__ import annotations

import pytest

from branchline.errors import BadInput, Failed, Refused
from branchline.ports import Database, Snapshot
from branchline.sanitize.pipeline import disarm, replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.benches import Bench

ODD_VALUES = [
    (1, "plain"),
    (2, None),
    (3, ""),
    (4, r"\N"),
    (5, "NULL"),
    (6, "tab\tnewline\nreturn\r\\backslash\\"),
    (7, "quotes ' \" ` and , ; separators"),
    (8, "\x1a\x1b\x1c\x1d\x1e\x1f control \x01"),
    (9, "\x1aN"),
    (10, "Grüße 😀 \u2028 日本"),
    (11, "ends in blanks  "),
    (12, "x" * 100_000),
]


@pytest.fixture
def database(bench: Bench) -> Database:
    return bench.database


def ids(snapshot: Snapshot) -> list[int]:
    return [value for block in snapshot.blocks("t", ["id"]) for value in block.frame["id"].to_list()]


def sync(database: Database, policy: str, **options: object):
    database.create("copy")
    with database.snapshot("one") as source, database.loader("copy") as target:
        return replicate(source, target, read_policy(policy), **options)


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


def test_an_application_gets_in_with_what_it_is_told_and_owns_its_tables(bench: Bench) -> None:
    bench.database.create("one")
    with bench.connection("one") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        cursor.execute("INSERT INTO t VALUES (1)")
        connection.commit()
    assert bench.read("one", "SELECT id FROM t") == [(1,)]
    assert bench.database.relationship("one")["rel"] == bench.engine


def test_a_clone_is_the_state_at_one_moment_with_its_users_going_on(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY);\nINSERT INTO t VALUES (1);")
    with bench.connection("one") as user:
        user.cursor().execute("INSERT INTO t VALUES (2)")
        database.clone("one", "two")
        user.commit()
    bench.execute("one", "DELETE FROM t;")
    with database.snapshot("two") as copy:
        assert ids(copy) == [1]
    assert database.size("two") > 0
    with pytest.raises(Refused):
        database.clone("one", "two")
    with pytest.raises(BadInput):
        database.clone("none", "three")


def test_a_snapshot_does_not_move_and_cannot_be_written_through(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY);\nINSERT INTO t VALUES (1);")
    with database.snapshot("one") as snapshot:
        bench.execute("one", "INSERT INTO t VALUES (2);")
        assert ids(snapshot) == [1]
        assert snapshot.count("t") == 1
        assert snapshot.count("t", "id > 1") == 0
    with database.snapshot("one") as snapshot:
        assert ids(snapshot) == [1, 2]
        with pytest.raises(Exception, match=r"(?i)read-?\s?only|readonly|denied"):
            bench.write_through(snapshot, "INSERT INTO t VALUES (3)")


def test_blocks_hold_every_row_once_in_bounded_size(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(5000));")
    bench.insert("one", "t", ((i * 3, "x" * 4000) for i in range(9000)))
    with database.snapshot("one") as snapshot:
        blocks = [block.frame for block in snapshot.blocks("t", ["id", "v"], where="id % 2 = 0")]
    assert [value for frame in blocks for value in frame["id"].to_list()] == list(range(0, 27000, 6))
    assert max(frame.estimated_size() for frame in blocks) < 2**26
    assert len(blocks) > 1


def test_rows_of_a_keep_list_are_flagged_and_null_is_no(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9));")
    bench.insert("one", "t", [(1, "a"), (2, None), (5, "b")])
    with database.snapshot("one") as snapshot:
        (block,) = snapshot.blocks("t", ["v"], keep="v = 'a'")
    assert block.keep is not None
    assert block.keep.to_list() == [True, False, False]


@pytest.mark.parametrize(
    "condition",
    ["nocolumn = 1", "1) UNION SELECT 1 --", "1; DROP TABLE t", "1) OR (1", "'", "id = (", "/* x"],
)
def test_a_condition_that_is_not_one_expression_is_explained(
    bench: Bench, database: Database, condition: str
) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY);")
    with database.snapshot("one") as snapshot:
        assert snapshot.probe("t", condition)
        assert not snapshot.probe("t", "id IN (SELECT id FROM t) AND ')' <> '('")


def test_the_schema_knows_keys_unique_columns_and_what_is_generated(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute(
        "one",
        f"""CREATE TABLE p (id INTEGER PRIMARY KEY, email VARCHAR(9) NOT NULL UNIQUE, b {bench.binary},
            low VARCHAR(9) GENERATED ALWAYS AS (lower(email)) STORED, d DOUBLE PRECISION);
        CREATE TABLE c (a INTEGER, b INTEGER, x INTEGER, PRIMARY KEY (a, b), FOREIGN KEY (x) REFERENCES p (id)){bench.by_key};""",
    )
    with database.snapshot("one") as snapshot:
        tables = snapshot.schema().tables
    assert set(tables) == {"p", "c"}
    email, low = tables["p"].column("email"), tables["p"].column("low")
    assert email is not None
    assert (email.kind, email.unique, email.nullable, email.key) == ("text", True, False, False)
    assert low is not None
    assert low.generated
    kinds = {column.name: column.kind for column in tables["p"].columns}
    assert kinds == {"id": "integer", "email": "text", "b": "binary", "low": "text", "d": "number"}
    assert [column.key for column in tables["c"].columns] == [True, True, False]
    (key,) = tables["c"].foreign_keys
    assert (key.columns, key.table, key.referred) == (("x",), "p", ("id",))
    assert tables["p"].unsupported == ""


def test_a_version_that_is_not_empty_is_not_loaded_into(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER);")
    with pytest.raises(Refused), database.loader("one"):
        pass


def test_a_finished_copy_says_how_many_rows_each_table_has(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute(
        "one",
        """CREATE TABLE t (id INTEGER PRIMARY KEY);
        INSERT INTO t VALUES (3), (9), (12);
        CREATE TABLE left_out (id INTEGER PRIMARY KEY);
        INSERT INTO left_out VALUES (1);
        CREATE TABLE void (id INTEGER);""",
    )
    database.create("copy")
    with database.snapshot("one") as source, database.loader("copy") as target:
        target.begin(source)
        for table in ("t", "void"):
            target.copy(table, (), lambda _block: pytest.fail("nothing is to be masked"))
        target.finish()
        assert target.count() == {"t": 3, "left_out": 0, "void": 0}


@pytest.mark.parametrize("table", ["t", "keyed"])
def test_the_rows_of_a_copys_block_are_found_again_unless_their_key_was_masked(
    bench: Bench, database: Database, table: str
) -> None:
    database.create("one")
    bench.execute(
        "one",
        f"""CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9));
        INSERT INTO t VALUES (3, 'a'), (9, 'b'), (12, NULL);
        CREATE TABLE keyed (id VARCHAR(9), n INTEGER, v VARCHAR(9), PRIMARY KEY (id, n)) {bench.by_key};
        INSERT INTO keyed SELECT id, 1, v FROM t;""",
    )
    database.clone("one", "copy")
    bench.execute("copy", f"UPDATE {table} SET v = 'masked';")
    bench.execute("one", f"DELETE FROM {table} WHERE v = 'b';")
    with database.snapshot("one") as source, database.snapshot("copy") as copy:
        (block,) = copy.blocks(table, ["v"])
        held = dict(
            zip(range(3), source.cells(table, "v", block.locator, range(3), ["v"]) or (), strict=True)
        )
        assert sorted(map(str, held.values())) == ["None", "None", "a"]
        assert source.cells(table, "v", block.locator, [0], ["id", "v"]) is None


def test_equal_values_of_a_row_are_found_whatever_their_case_and_type(
    bench: Bench, database: Database
) -> None:
    database.create("one")
    bench.execute(
        "one",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, k VARCHAR(9), {bench.quoted('a b')} VARCHAR(9), n INTEGER);",
    )
    rows = [(1, "NG", "ng", 5), (2, "", "", 5), (3, "7", "x", 7), (4, None, None, None), (5, "x", "y", 0)]
    bench.insert("one", "t", rows)
    with database.snapshot("one") as snapshot:
        assert snapshot.count("t", snapshot.equal("k", ["a b"])) == 1
        assert snapshot.count("t", snapshot.equal("k", ["a b", "n"])) == 2


@pytest.mark.parametrize("keep", ["", "keep_rows: {where: id BETWEEN 2 AND 4, reason: staff}, "])
def test_a_kept_value_beside_its_original_is_a_leak_unless_others_hold_it_more_often(
    bench: Bench, database: Database, keep: str
) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), shown VARCHAR(20));")
    others = [
        (number, f"Nobody {number}", "zhoa" if number < 5 else f"shop {number}") for number in range(2, 40)
    ]
    bench.insert("one", "t", [(1, "Zhoa", "zhoa"), *others])
    policy = f"tables: {{t: {{{keep}columns: {{id: keep, name: last_name, shown: keep}}}}}}"
    if keep:  # nobody else's name is hidden in a row that may be seen
        with pytest.raises(Failed, match=r"t\.shown \(1 row\)"):
            sync(database, policy)
    else:
        assert sync(database, policy).coincidences == 1


def test_an_assertion_holds_by_one_row_with_one_true_value_only_and_changes_nothing(
    bench: Bench, database: Database
) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY);")
    bench.insert("one", "t", [(1,)])
    policy = "{tables: {t: {columns: {id: keep}}}, disarm: {assert: [%s]}}"
    database.create("copy")
    with database.snapshot("one") as source, database.loader("copy") as target:
        replicate(source, target, read_policy(policy % '"SELECT 1 FROM t"'))
        for true in ("SELECT count(*) = 1 FROM t", "SELECT 0.5"):
            disarm(target, read_policy(policy % f'"{true}"'))
        for twice_or_not in ("1 UNION ALL SELECT 0", "1 UNION ALL SELECT 1", "1, 1", "1 FROM t WHERE id = 9"):
            with pytest.raises(Failed, match="one true value"):
                disarm(target, read_policy(policy % f'"SELECT {twice_or_not}"'))
        for untrue in ("'true'", "NULL", "0.0"):
            with pytest.raises(Failed, match="one true value"):
                disarm(target, read_policy(policy % f'"SELECT {untrue}"'))
        with pytest.raises(Failed, match=r"\(entry 2 of disarm\.assert\)") as failed:
            disarm(target, read_policy(policy % '"SELECT 1", "DELETE FROM t RETURNING 1"'))
    assert failed.value.number == 508
    assert bench.read("copy", "SELECT id FROM t") == [(1,)]


def test_rows_of_a_keep_list_pass_whatever_a_column_is_called(bench: Bench, database: Database) -> None:
    database.create("one")
    name = bench.quoted("branchline keep")
    bench.execute("one", f"CREATE TABLE t (id INTEGER PRIMARY KEY, {name} VARCHAR(80));")
    bench.insert("one", "t", [(1, "ann@mail.example"), (2, "bob@mail.example")])
    keep = "keep_rows: {where: id = 2, reason: staff}"
    sync(database, f"tables: {{t: {{{keep}, columns: {{id: keep, branchline keep: email}}}}}}")
    ((ann,), (bob,)) = bench.read("copy", f"SELECT {name} FROM t ORDER BY id")
    assert ann.endswith("@example.test")
    assert bob == "bob@mail.example"


@pytest.mark.parametrize("columns", ["{id: keep, v: keep}", "{id: keep, v: keep, m: phone}"])
def test_kept_values_arrive_as_they_are_whatever_is_in_them(
    bench: Bench, database: Database, columns: str
) -> None:
    database.create("one")
    more = ", m VARCHAR(40)" if "m:" in columns else ""
    bench.execute("one", f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {bench.text}{more});")
    bench.insert("one", "t", [(*row, "+49 170 1234567") if more else row for row in ODD_VALUES])
    sync(database, f"tables: {{t: {{columns: {columns}}}}}", scan=False)
    assert bench.read("copy", "SELECT id, v FROM t ORDER BY id") == ODD_VALUES


def test_masked_values_are_masked_in_every_row_and_absent_ones_stay_absent(
    bench: Bench, database: Database
) -> None:
    database.create("one")
    bench.execute(
        "one",
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {bench.text}, p VARCHAR(40) UNIQUE, place VARCHAR(40));",
    )
    rows = [(i, v, f"+49 170 {i:07d}", f"place {i % 7}") for i, v in ODD_VALUES]
    bench.insert("one", "t", rows)
    report = sync(
        database, "tables: {t: {columns: {id: keep, v: text, p: phone, place: keep}}}", key=b"k" * 32
    )
    copied = bench.read("copy", "SELECT id, v, p, place FROM t ORDER BY id")
    assert (report.rows, len(copied)) == (len(rows), len(rows))
    for (number, value, phone, place), masked in zip(rows, copied, strict=True):
        assert (masked[0], masked[3]) == (number, place)
        assert masked[2] != phone
        assert (masked[1] == value) is (not value)


def test_an_original_in_kept_bytes_is_found_and_other_bytes_pass(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute("one", f"CREATE TABLE t (id INTEGER PRIMARY KEY, e VARCHAR(80), b {bench.binary});")
    rows = [(i, f"ann{i}@mail.example", bytes([0x89, 0xFF, i])) for i in range(9)]
    bench.insert("one", "t", rows)
    policy = "tables: {t: {columns: {id: keep, e: email, b: keep}}}"
    sync(database, policy)
    assert bench.read("copy", "SELECT b FROM t WHERE id = 3") == [(rows[3][2],)]
    bench.insert("one", "t", [(9, "eve@mail.example", b"from ann3@mail.example, \xe2\x82\xac 7")])
    database.remove("copy")
    with pytest.raises(Failed, match=r"t\.b \(1 row\)"):
        sync(database, policy)


@pytest.mark.parametrize("bench", ["postgresql", "mysql"], indirect=True)
def test_noise_on_a_decimal_at_its_limit_arrives_with_the_columns_own_digits(
    bench: Bench, database: Database
) -> None:
    database.create("one")
    bench.execute("one", "CREATE TABLE t (id INTEGER PRIMARY KEY, fee NUMERIC(5,2), rate NUMERIC(6,4));")
    bench.insert("one", "t", [(i, ("999.99", "-999.99")[i % 2], f"0.{i:04d}") for i in range(1, 200)])
    sync(
        database,
        "tables: {t: {columns: {id: keep, fee: &noise {mask: number_noise, percent: 90}, rate: *noise}}}",
    )
    copied = bench.read("copy", "SELECT fee, rate FROM t ORDER BY id")
    assert len(copied) == 199
    assert all(abs(fee) < 999.99 for fee, _ in copied)
    assert any(round(rate, 2) != rate for _, rate in copied)


def test_references_masked_alike_still_meet_and_keys_come_back(bench: Bench, database: Database) -> None:
    database.create("one")
    bench.execute(
        "one",
        f"""CREATE TABLE p (email VARCHAR(90) PRIMARY KEY, boss VARCHAR(90), FOREIGN KEY (boss) REFERENCES p (email)){bench.by_key};
        CREATE TABLE o (id INTEGER PRIMARY KEY, email VARCHAR(90), FOREIGN KEY (email) REFERENCES p (email));""",
    )
    people = [(f"anna{i}@mail.example", "anna0@mail.example") for i in range(200)]
    bench.insert("one", "p", people)
    bench.insert("one", "o", [(i, person) for i, (person, _) in enumerate(people)])
    sync(
        database,
        "tables: {p: {columns: {email: email, boss: email}}, o: {columns: {id: keep, email: email}}}",
    )
    joined = bench.read(
        "copy", "SELECT count(*) FROM o JOIN p ON p.email = o.email JOIN p b ON b.email = p.boss"
    )
    assert joined == [(200,)]
    with database.snapshot("one") as source, database.snapshot("copy") as copy:
        assert copy.schema() == source.schema()
