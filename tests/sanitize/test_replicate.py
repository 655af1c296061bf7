"""What a sync writes, refuses and reports, on real SQLite files."""

from __future__ import annotations

import json
import sqlite3

import pytest

from branchline.adapters.databases.sqlite_loader import SqliteLoader
from branchline.errors import Failed, Refused
from branchline.sanitize.scan import Originals
from tests.sanitize.people import POLICY, filled, people


def test_every_masked_value_differs_and_every_kept_value_stays(shop) -> None:
    filled(shop)
    report = shop.sync(POLICY)
    before, after = (
        shop.read("SELECT * FROM people ORDER BY id", where=where) for where in ("production", "staging")
    )
    assert len(after) == 300
    for old, new in zip(before, after, strict=True):
        assert (old[0], old[5]) == (new[0], new[5])
        assert not set(old[1:5]) & set(new[1:5])
        assert new[1].endswith("@example.test")
    assert report.leaks == 0
    assert {table.name: table.rows for table in report.tables} == {"people": 300, "orders": 300}


def test_a_block_that_was_masked_and_did_not_arrive_ends_the_sync(shop, monkeypatch) -> None:
    copy = SqliteLoader.copy

    def losing_one(self, table, masked, mask, **which):
        return copy(self, table, masked, lambda block: (mask(block), mask(block))[0], **which)

    filled(shop)
    monkeypatch.setattr(SqliteLoader, "copy", losing_one)
    with pytest.raises(
        Failed, match=r"people has 300 rows where 600 were masked|orders has 300 rows where 600"
    ) as failed:
        shop.sync(POLICY)
    assert failed.value.number == 506


def test_a_row_that_is_gone_when_the_copy_is_finished_ends_the_sync(shop, monkeypatch) -> None:
    make_the_rest = SqliteLoader._make_the_rest

    def losing_one(self, source, target, rebuild):
        make_the_rest(self, source, target, rebuild)
        target.execute("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)")

    filled(shop)
    monkeypatch.setattr(SqliteLoader, "_make_the_rest", losing_one)
    with pytest.raises(Failed, match=r"orders has 299 rows where 300 were copied") as failed:
        shop.sync(POLICY)
    assert failed.value.number == 506


def test_originals_that_could_not_be_remembered_end_the_sync(shop, monkeypatch) -> None:
    def breaking(*_: object, **__: object) -> None:
        raise RuntimeError("no memory")

    filled(shop)
    monkeypatch.setattr(Originals, "add", breaking)
    with pytest.raises(RuntimeError, match=r"^no memory$"):
        shop.sync(POLICY)


def test_a_column_whose_name_reads_as_a_pattern_is_refused_by_name(shop) -> None:
    shop.fill('CREATE TABLE odd (id INTEGER PRIMARY KEY, "^total$" TEXT)')
    with pytest.raises(Refused, match=r"\^total\$.*cannot be copied") as refused:
        shop.sync("tables: {odd: {columns: {id: keep, ^total$: keep}}}")
    assert refused.value.number == 501


def test_names_email_and_username_of_one_row_agree(shop) -> None:
    filled(shop)
    shop.sync(POLICY.replace("login: username", "login: username"))
    for email, first, last, login in shop.read("SELECT email, first_name, last_name, login FROM people"):
        name = f"{first}.{last}".lower().replace("'", "").replace("-", "").replace(" ", "")
        assert email.startswith(name)
        assert login.startswith(name)


def test_joins_on_masked_values_hold(shop) -> None:
    filled(shop)
    shop.sync(POLICY)
    join = (
        "SELECT count(*) FROM people JOIN orders ON orders.email = people.email AND orders.person = people.id"
    )
    assert shop.read(join) == [(300,)]


def test_a_fresh_key_masks_differently_every_time_and_a_stable_one_alike(shop) -> None:
    filled(shop)
    emails = "SELECT email FROM people ORDER BY id"
    shop.sync(POLICY)
    first = shop.read(emails)
    shop.sync(POLICY)
    assert shop.read(emails) != first
    one, fingerprints = [], set()
    for _ in range(2):
        fingerprints.add(shop.sync(POLICY, key=b"k" * 32).key)
        one.append(shop.read(emails))
    assert one[0] == one[1]
    assert len(fingerprints) == 1
    assert shop.sync(POLICY).key == ""


def test_rows_of_the_keep_list_pass_and_may_be_seen(shop) -> None:
    filled(
        shop, [*people(20), (99, "ada@ourshop.example", "Ada", "Staff", "ada99", "ask ada@ourshop.example")]
    )
    keep = """
    keep_rows: {where: "email LIKE '%@ourshop.example'", reason: staff log in}
    columns: {id: keep, email: email"""
    shop.sync(POLICY.replace("\n    columns: {id: keep, email: email", keep, 1))
    assert shop.read("SELECT email, first_name FROM people WHERE id = 99") == [("ada@ourshop.example", "Ada")]
    assert shop.read("SELECT count(*) FROM people WHERE email LIKE '%@example.test'") == [(20,)]


def test_where_and_truncate_leave_rows_out(shop) -> None:
    filled(shop)
    policy = POLICY.replace("  orders:\n", '  orders:\n    where: "id <= 7 OR id = 250"\n')
    report = shop.sync(policy)
    assert shop.read("SELECT count(*), max(id) FROM orders") == [(8, 250)]
    assert {table.name: (table.rows, table.source_rows) for table in report.tables}["orders"] == (8, 300)
    shop.sync(POLICY[: POLICY.index("  orders:")] + "  orders: truncate\n")
    assert shop.read("SELECT count(*) FROM orders") == [(0,)]


def test_indexes_views_triggers_and_counters_are_made_again(shop) -> None:
    filled(shop)
    shop.fill(
        "CREATE INDEX by_last ON people(last_name); CREATE VIEW v AS SELECT email FROM people;"
        "CREATE TRIGGER t AFTER INSERT ON orders BEGIN DELETE FROM people; END;"
        "CREATE TABLE seq (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO seq VALUES (41); DELETE FROM seq;"
        "PRAGMA user_version = 7"
    )
    shop.sync(POLICY + "  seq: {columns: {id: keep}}\n")
    schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"
    assert shop.read(schema) == shop.read(schema, where="production")
    assert shop.read("SELECT seq FROM sqlite_sequence") == [(41,)]
    assert shop.read("PRAGMA user_version") == [(7,)]
    assert shop.read("SELECT count(*) FROM people") == [(300,)]


def test_no_original_is_in_the_bytes_of_the_copy(shop) -> None:
    filled(shop)
    shop.fill("CREATE INDEX by_email ON people(email)")
    shop.sync(POLICY + 'disarm: {sql: ["DELETE FROM orders WHERE id < 100"]}\n')
    written = b"".join(path.read_bytes() for path in shop.staging.parent.iterdir())
    assert b"@example.test" in written
    assert b"muster" not in written.lower()
    assert b"mail.example" not in written


def test_disarming_runs_and_its_assertion_is_held(shop) -> None:
    filled(shop)
    ok = POLICY + 'disarm: {sql: ["DELETE FROM orders"], assert: ["SELECT count(*) = 0 FROM orders"]}\n'
    assert shop.sync(ok).disarmed == 1
    with pytest.raises(Failed) as caught:
        shop.sync(POLICY + 'disarm: {assert: ["SELECT count(*) = 0 FROM orders"]}\n')
    assert caught.value.number == 507


def test_disarming_reaches_no_other_file(shop) -> None:
    filled(shop)
    for statement in (
        f"ATTACH '{shop.production}' AS p",
        "PRAGMA journal_mode = DELETE",
        "SELECT 1; SELECT 2",
    ):
        with pytest.raises(Failed) as caught:
            shop.sync(POLICY + f"disarm: {{sql: [{json.dumps(statement)}]}}\n")
        assert caught.value.number == 508


def test_all_gaps_of_a_policy_are_said_at_once_with_yaml_to_paste(shop) -> None:
    filled(shop)
    shop.fill("CREATE TABLE extra (id INTEGER PRIMARY KEY, email TEXT)")
    policy = """
tables:
  people:
    columns:
      id: keep
      emial: email
  order: truncate
"""
    with pytest.raises(Refused) as caught:
        shop.sync(policy)
    text = caught.value.message
    for part in (
        "tables.extra",
        "email: email",
        "sanitize.yaml:6:tables.people.columns.emial",
        "sanitize.yaml:2:tables.extra",
        "did you mean email",
        "tables.order",
        "did you mean orders",
    ):
        assert part in text
    assert shop.staging.stat().st_size == 0


def test_values_survive_whatever_they_look_like(shop) -> None:
    odd = [
        None,
        "",
        " ",
        "x ",
        "x\x1f",
        "\x1a",
        "\x1e",
        "a\x1fb",
        "nul\x00in",
        "ü\u00e9\u4e2d",
        "'\"",
        "9" * 400,
        "line\nbreak",
    ]
    kept = [value and f"{value[:6]}~" for value in odd]
    shop.fill(
        'CREATE TABLE "we ird""t" ("a b" TEXT, "select" TEXT, "{x}" TEXT, n)',
        (
            'INSERT INTO "we ird""t" VALUES (?, ?, ?, ?)',
            [(v, k, v, w) for v, k, w in zip(odd, kept, [1, 1.5, "t", b"b", None] * 3, strict=False)],
        ),
    )
    shop.sync('tables: {\'we ird"t\': {columns: {"a b": token, select: keep, "{x}": text, n: keep}}}')
    read = 'SELECT "a b", "select", "{x}", n, typeof(n), rowid FROM "we ird""t" ORDER BY rowid'
    before, after = shop.read(read, where="production"), shop.read(read)
    assert [row[1] for row in after] == kept
    assert [row[3:] for row in after] == [row[3:] for row in before]
    for old, new in zip(before, after, strict=True):
        for column in (0, 2):
            assert (
                new[column] == old[column]
                if old[column] in (None, "")
                else new[column] not in (None, "", old[column])
            )


def test_sparse_rowids_tables_without_rowid_and_composite_keys_are_copied_row_for_row(shop) -> None:
    shop.fill(
        "CREATE TABLE sparse (id INTEGER PRIMARY KEY, email TEXT, v TEXT);"
        "CREATE TABLE bare (email TEXT, v TEXT);"
        "CREATE TABLE keyed (a TEXT, b INTEGER, email TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;"
        "CREATE TABLE strict_one (id INTEGER PRIMARY KEY, email TEXT, n INT) STRICT;"
        "CREATE TABLE made (id INTEGER PRIMARY KEY, email TEXT, low TEXT GENERATED ALWAYS AS (lower(email)) STORED)",
        (
            "INSERT INTO sparse VALUES (?, ?, ?)",
            [(i * i * 1009 - 5000, f"s{i}@m.example", f"v{i}") for i in range(500)],
        ),
        ("INSERT INTO bare VALUES (?, ?)", [(f"b{i}@m.example", f"v{i}") for i in range(500)]),
        ("DELETE FROM bare WHERE rowid % 3 = ?", [(0,)]),
        ("INSERT INTO keyed VALUES (?, ?, ?)", [(f"k{i % 7}", i, f"k{i}@m.example") for i in range(500)]),
        ("INSERT INTO strict_one VALUES (?, ?, ?)", [(i, f"t{i}@m.example", i) for i in range(500)]),
        ("INSERT INTO made (id, email) VALUES (?, ?)", [(i, f"g{i}@m.example") for i in range(500)]),
    )
    shop.sync("""tables:
  sparse: {columns: {id: keep, email: email, v: keep}}
  bare: {columns: {email: email, v: keep}}
  keyed: {columns: {a: keep, b: keep, email: email}}
  strict_one: {columns: {id: keep, email: email, n: keep}}
  made: {columns: {id: keep, email: email}}
""")
    for kept in (
        "SELECT id, v FROM sparse",
        "SELECT rowid, v FROM bare",
        "SELECT a, b FROM keyed",
        "SELECT id, n FROM strict_one",
    ):
        assert sorted(shop.read(kept)) == sorted(shop.read(kept, where="production"))
    for table in ("sparse", "bare", "keyed", "strict_one", "made"):
        total, distinct, real = shop.read(
            f"SELECT count(*), count(DISTINCT email), count(*) FILTER (WHERE email NOT LIKE '%@example.test') FROM {table}"
        )[0]
        assert (total, real) == (distinct, 0)
    assert shop.read("SELECT count(*) FROM made WHERE low = lower(email)") == [(500,)]


def test_text_that_is_not_utf8_is_masked_and_never_quoted(shop) -> None:
    shop.fill(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, city TEXT)",
        ("INSERT INTO t VALUES (?, CAST(? AS TEXT), 'Ulm')", [(1, b"M\xfcller"), (2, b"Meier")]),
    )
    shop.sync("tables: {t: {columns: {id: keep, name: last_name, city: keep}}}")
    names = [name for (name,) in shop.read("SELECT name FROM t")]
    assert len(names) == 2
    assert "Meier" not in names


def test_blobs_are_masked_by_null_and_constant_only(shop, seen) -> None:
    shop.fill(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, photo BLOB, loose)",
        ("INSERT INTO t VALUES (?, ?, ?)", [(1, b"\x89SECRET", b"\x00SECRET"), (2, None, "text")]),
    )
    shop.sync('tables: {t: {columns: {id: keep, photo: "null", loose: {mask: constant, value: x}}}}')
    assert shop.read("SELECT photo, loose FROM t") == [(None, "x"), (None, "x")]
    with pytest.raises(Refused) as caught:
        shop.sync('tables: {t: {columns: {id: keep, photo: "null", loose: token}}}')
    assert caught.value.number == 502
    assert "t.loose holds binary values" in caught.value.message
    assert "SECRET" not in seen(caught.value)


def test_a_full_text_table_is_made_again_from_masked_rows(shop) -> None:
    shop.fill(
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT);"
        "INSERT INTO docs VALUES (1, 'secretword lives here');"
        "CREATE VIRTUAL TABLE found USING fts5(body, content='docs', content_rowid='id');"
        "INSERT INTO found(found) VALUES ('rebuild');"
        "CREATE VIRTUAL TABLE own USING fts5(body); INSERT INTO own VALUES ('secretword')"
    )
    shop.sync("tables: {docs: {columns: {id: keep, body: text}}, found: rebuild, own: truncate}")
    assert shop.read("SELECT count(*) FROM found WHERE found MATCH 'secretword'") == [(0,)]
    first = shop.read("SELECT body FROM docs")[0][0].split()[0].strip(".")
    assert shop.read(f"SELECT count(*) FROM found WHERE found MATCH '\"{first}\"'") == [(1,)]
    assert shop.read("SELECT count(*) FROM own") == [(0,)]
    assert b"secretword" not in shop.staging.read_bytes()
    with pytest.raises(Refused, match="virtual table"):
        shop.sync("tables: {docs: {columns: {id: keep, body: text}}, found: rebuild, own: {columns: {}}}")


def test_masked_integer_keys_stay_unique_and_references_hold(shop) -> None:
    shop.fill(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id))",
        ("INSERT INTO p VALUES (?, ?)", [(i, f"v{i}") for i in range(2000)]),
        ("INSERT INTO c VALUES (?, ?)", [(i, i % 2000) for i in range(3000)]),
    )
    shop.sync("tables: {p: {columns: {id: token, v: keep}}, c: {columns: {id: keep, p: token}}}")
    assert shop.read("SELECT count(*) FROM c JOIN p ON c.p = p.id WHERE p.v = 'v' || (c.id % 2000)") == [
        (3000,)
    ]
    assert shop.read("SELECT count(*) FROM p WHERE 'v' || id = v") == [(0,)]
    with pytest.raises(Refused, match=r"refers to p\.id"):
        shop.sync("tables: {p: {columns: {id: token, v: keep}}, c: {columns: {id: keep, p: keep}}}")


def test_writers_go_on_while_one_state_is_copied(shop) -> None:
    filled(shop)
    shop.fill("PRAGMA journal_mode = WAL")
    writer = sqlite3.connect(shop.production)

    def meanwhile(progress) -> None:
        if progress.stage == "copy" and progress.table == "orders" and not progress.rows:
            writer.execute(
                "INSERT OR IGNORE INTO people VALUES (1000, 'new@mail.example', 'N', 'N', 'n', 'n')"
            )
            writer.execute("INSERT OR IGNORE INTO orders VALUES (1000, 1000, 'new@mail.example', 1)")
            writer.commit()

    shop.sync(POLICY, progress=meanwhile)
    writer.close()
    assert shop.read("SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM orders)") == [(300, 300)]
    assert shop.read("SELECT count(*) FROM orders", where="production") == [(301,)]


def test_the_report_is_json_and_names_kept_quasi_identifiers(shop) -> None:
    shop.fill("CREATE TABLE t (id INTEGER PRIMARY KEY, postcode TEXT, birth_date TEXT, sex TEXT)")
    policy = "tables: {t: {columns: {id: keep, postcode: {mask: keep, reason: maps}, birth_date: {mask: date_shift, days: 9}, sex: keep}}}"
    report = shop.sync(policy)
    assert report.quasi_identifiers == ("t.postcode", "t.sex")
    told = json.loads(json.dumps(report.to_dict()))
    assert {"name": "postcode", "mask": "keep", "reason": "maps"} in told["tables"][0]["columns"]
    assert told["leaks"] == 0


def test_a_broken_reference_in_the_copy_is_found(shop) -> None:
    filled(shop)
    policy = POLICY.replace("  people:\n", '  people:\n    where: "id > 5"\n')
    with pytest.raises(Failed, match="5 rows of orders refer to rows missing from people"):
        shop.sync(policy)


def test_a_driver_error_is_told_without_the_value_it_quotes(shop, seen) -> None:
    shop.fill(
        "CREATE TABLE t (k TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID",
        ("INSERT INTO t VALUES (CAST(? AS TEXT), 'Meier')", [(b"secret-\xfc-key",)]),
    )
    with pytest.raises(Failed) as caught:
        shop.sync("tables: {t: {columns: {k: keep, name: last_name}}}")
    assert caught.value.number == 504
    assert "secret" not in seen(caught.value)


def test_a_mask_that_breaks_is_told_without_the_value_it_broke_on(shop, seen) -> None:
    shop.fill(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, doc TEXT)",
        ("INSERT INTO t VALUES (?, ?)", [(1, '{"name": "secret \\ud800 half"}')]),
    )
    with pytest.raises(Failed) as caught:
        shop.sync('tables: {t: {columns: {id: keep, doc: {mask: json, paths: {"$.name": full_name}}}}}')
    assert (caught.value.number, "t.doc" in caught.value.message) == (517, True)
    assert "secret" not in seen(caught.value)
