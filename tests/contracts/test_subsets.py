"""What a subset leaves out is the same on every engine. The rules in detail: tests/sanitize/test_subset.py."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from branchline.adapters.databases import postgresql_programs, postgresql_snapshot
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.report import SyncReport
from tests.workshop.benches import Bench
from tests.workshop.subsets import TABLES, Case, cases


def sync(bench: Bench, policy: str) -> SyncReport:
    bench.database.remove("copy")
    bench.database.create("copy")
    with bench.database.snapshot("one") as source, bench.database.loader("copy") as target:
        return replicate(source, target, read_policy(policy))


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cases())
def test_the_largest_part_without_a_broken_reference_is_copied(bench: Bench, case: Case) -> None:
    sqlite = bench.engine == "sqlite"
    bench.database.remove("one")
    bench.database.create("one")
    bench.execute("one", case.script(inline=sqlite))
    for table in TABLES:
        if case.values(table):
            bench.insert("one", table, case.values(table))
    if not sqlite and case.foreign_keys():
        bench.execute("one", case.foreign_keys())
    sync(bench, case.policy())
    expected = case.copied()
    for table in TABLES:
        found = {row[0] for row in bench.read("copy", f"SELECT k FROM {table}")}
        assert found == {row["k"] for row in expected[table]}, table


SITES = """
CREATE TABLE sites (name VARCHAR(40) NOT NULL, price DECIMAL(8, 3) NOT NULL, open INTEGER, PRIMARY KEY (name, price));
CREATE TABLE staff (email VARCHAR(40) NOT NULL PRIMARY KEY, {odd} VARCHAR(40), site VARCHAR(40), price DECIMAL(8, 3), began DATE{keys});
CREATE TABLE visits (id INTEGER PRIMARY KEY, guest VARCHAR(40), host VARCHAR(40) NOT NULL, paid DOUBLE PRECISION{visits});
"""
BOSS = "FOREIGN KEY ({odd}) REFERENCES staff (email)"
SITE = "FOREIGN KEY (site, price) REFERENCES sites (name, price)"
GUEST = "FOREIGN KEY (guest) REFERENCES staff (email)"
HOST = "FOREIGN KEY (host) REFERENCES staff (email)"
STAFF = [
    ("a'b", None, "north", "1.500", "2024-01-01"),
    ("c\\d", "a'b", "north", "1.500", "2024-01-02"),
    ("e,'f'", "c\\d", None, None, "2024-01-03"),
    ("grün", None, "south, 'x'", "2.000", "2024-01-04"),
    ("h", "grün", "north", "1.500", "2024-01-05"),
    ("i", "h", None, "1.500", "2024-01-06"),
    ("j", "i", "north", "1.500", None),
    ("k", "k", None, None, "2024-01-07"),
]
"""grün is of a site that is closed, so that h, i and j go too; k is his own boss."""
VISITS = [
    (at, guest, host, paid)
    for at, (guest, host, paid) in enumerate(
        [
            ("k", "a'b", 0.1),
            ("i", "k", 0.2),
            (None, "c\\d", 0.3),
            ("k", "grün", 0.1),
            (None, "j", 0.5),
            ("e,'f'", "e,'f'", None),
        ]
    )
]
POLICY = """
tables:
  sites: {{subset: {{where: "open = 1"}}, columns: {{name: keep, price: keep, open: keep}}}}
  staff: {{columns: {{email: keep, '{odd}': keep, site: keep, price: keep, began: keep}}{staff}}}
  visits: {{columns: {{id: keep, guest: keep, host: keep, paid: keep}}{visits}}}
"""
ODD = "the 'boss'"


def make(bench: Bench) -> None:
    quoted = bench.quoted(ODD)
    keys = {"keys": [BOSS.format(odd=quoted), SITE], "visits": [GUEST, HOST]}
    inline = bench.engine == "sqlite"
    given = {name: "".join(f", {key}" for key in each) if inline else "" for name, each in keys.items()}
    bench.database.create("one")
    bench.execute("one", SITES.format(odd=quoted, **given))
    bench.insert("one", "sites", [("north", "1.5", 1), ("south, 'x'", "2", 0)])
    bench.insert("one", "staff", STAFF)
    bench.insert("one", "visits", VISITS)
    if not inline:
        for table, each in (("staff", keys["keys"]), ("visits", keys["visits"])):
            bench.execute("one", "".join(f"ALTER TABLE {table} ADD {key};\n" for key in each))


def told(bench: Bench, *, staff: str = "", visits: str = "") -> tuple[set[str], set[int], SyncReport]:
    report = sync(bench, POLICY.format(odd=ODD.replace("'", "''"), staff=staff, visits=visits))
    people = {row[0] for row in bench.read("copy", "SELECT email FROM staff")}
    return people, {row[0] for row in bench.read("copy", "SELECT id FROM visits")}, report


def test_keys_of_texts_numbers_and_odd_names_are_followed(bench: Bench) -> None:
    make(bench)
    people, visits, report = told(bench)
    assert people == {"a'b", "c\\d", "e,'f'", "k"}
    assert visits == {0, 2, 5}
    assert {table.name: (table.rows, table.source_rows) for table in report.tables} == {
        "sites": (1, 2),
        "staff": (4, 8),
        "visits": (3, 6),
    }


def test_the_newest_are_found_by_dates_numbers_and_texts_and_nothing_is_oldest(bench: Bench) -> None:
    make(bench)
    everybody = {row[0] for row in STAFF}
    assert told(bench, staff=", subset: {newest: 6, by: began}")[0] == {"k"}
    assert told(bench, visits=", subset: {newest: 4, by: paid}")[1] == {2}
    assert told(bench, visits=", subset: {newest: 6, by: paid}")[1] == {0, 2, 5}
    assert told(bench, staff=", subset: {newest: 8, by: began}")[0] == everybody - {"grün", "h", "i", "j"}
    assert told(bench, staff=", subset: {newest: 2, by: email}")[0] == {"k"}
    assert told(bench, staff=", where: \"email < 'j'\", subset: {newest: 6, by: email}")[0] == {
        "a'b",
        "c\\d",
        "e,'f'",
    }


def test_a_percentage_takes_the_same_rows_again_and_leaves_no_reference_broken(bench: Bench) -> None:
    make(bench)
    bench.insert("one", "visits", [(at, None, "k", 1.0) for at in range(100, 1100)])
    _, first, _ = told(bench, visits=", subset: {percent: 30}")
    assert 240 < len(first) < 360
    assert told(bench, visits=", subset: {percent: 30}")[1] == first
    assert first < told(bench, visits=", subset: {percent: 60.5}")[1]
    assert first & {1, 3, 4} == set()


def test_a_list_of_left_out_rows_that_fits_no_command_line_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_programs, "LONGEST_ARGUMENT", 20)
    monkeypatch.setattr(postgresql_snapshot, "READ_AT_ONCE", -1)
    make(bench)
    bench.insert("one", "staff", [(f"x{at}", "i" if at % 2 else "k", None, None, None) for at in range(4000)])
    bench.insert("one", "staff", [(f"y{at}", f"x{at}", None, None, None) for at in range(4000)])
    people, _, _ = told(bench)
    assert len(people) == 4 + 4000
