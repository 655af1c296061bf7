"""What a subset leaves out: on SQLite, against a plain model; the same on every engine is in tests/contracts."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings

from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.errors import Refused
from branchline.sanitize import subset
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.subset import followed
from branchline.sanitize.suggest import preview
from tests.sanitize.test_chinook import POLICY as CHINOOK_POLICY
from tests.sanitize.test_chinook import SCRIPT as CHINOOK
from tests.workshop.subsets import TABLES, Case, cases


@settings(max_examples=150, deadline=None)
@given(cases())
def test_what_is_copied_is_the_largest_part_without_a_broken_reference(case: Case) -> None:
    with tempfile.TemporaryDirectory() as directory:
        database = SqliteDatabase(Path(directory) / "db")
        database.create("production")
        path = str(database.relationship("production")["path"])
        connection = sqlite3.connect(path)
        connection.executescript(case.script(inline=True))
        for table in TABLES:
            places = ", ".join("?" * len(case.columns(table)))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", case.values(table))
        connection.commit()
        connection.close()
        database.create("staging")
        with database.snapshot("production") as source, database.loader("staging") as target:
            report = replicate(source, target, read_policy(case.policy()), scan=False)
        copy = sqlite3.connect(str(database.relationship("staging")["path"]))
        expected = case.copied()
        for table in TABLES:
            found = sorted(row[0] for row in copy.execute(f"SELECT k FROM {table}"))
            assert found == sorted(row["k"] for row in expected[table]), table
        assert copy.execute("PRAGMA foreign_key_check").fetchall() == []
        copy.close()
        for table in report.tables:
            if table.action == "copy":
                assert (table.rows, table.source_rows) == (
                    len(expected[table.name]),
                    len(case.rows[table.name]),
                )


def test_the_newest_invoices_of_chinook_keep_customers_and_lines_whole(shop) -> None:
    shop.fill(CHINOOK.read_text(encoding="utf-8-sig"))
    policy = CHINOOK_POLICY.read_text().replace(
        "  Invoice:\n", "  Invoice:\n    subset: {newest: 100, by: InvoiceDate}\n"
    )
    report = shop.sync(policy)
    newest = "SELECT InvoiceId FROM Invoice ORDER BY InvoiceDate DESC, InvoiceId DESC LIMIT 100"
    lines = f"SELECT count(*) FROM InvoiceLine WHERE InvoiceId IN ({newest})"
    assert shop.read("SELECT InvoiceId FROM Invoice ORDER BY 1") == sorted(
        shop.read(newest, where="production")
    )
    assert shop.read("SELECT count(*) FROM InvoiceLine") == shop.read(lines, where="production")
    assert shop.read("SELECT count(*) FROM Customer") == [(59,)]
    assert shop.read("PRAGMA foreign_key_check") == []
    told = {table.name: (table.rows, table.source_rows) for table in report.tables}
    assert told["Invoice"] == (100, 412)
    assert told["InvoiceLine"][1] == 2240
    assert report.leaks == 0


ORDERS = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers);
CREATE TABLE carts (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers);
"""
ORDERS_POLICY = """
tables:
  customers: {subset: {percent: 10}, columns: {id: keep, email: email}}
  orders: {columns: {id: keep, customer: keep}}
  carts: {columns: {id: keep, customer: keep}}
"""


def filled(shop, customers: int = 2000) -> None:
    shop.fill(
        ORDERS,
        ("INSERT INTO customers VALUES (?, ?)", [(at, f"person{at}@example.org") for at in range(customers)]),
        ("INSERT INTO orders VALUES (?, ?)", [(at, at % customers) for at in range(3 * customers)]),
        ("INSERT INTO carts VALUES (?, ?)", [(at, at if at % 2 else None) for at in range(customers)]),
    )


def test_a_percentage_takes_about_that_share_and_the_same_rows_again(shop) -> None:
    filled(shop)
    shop.sync(ORDERS_POLICY)
    first = shop.read("SELECT id FROM customers")
    assert 140 < len(first) < 260
    assert shop.read("SELECT count(*) FROM orders") == [(3 * len(first),)]
    assert shop.read("SELECT count(*) FROM carts WHERE customer IS NULL") == [(1000,)]
    shop.sync(ORDERS_POLICY)
    assert shop.read("SELECT id FROM customers") == first
    shop.sync(ORDERS_POLICY.replace("10", "100"))
    assert shop.read("SELECT count(*) FROM customers") == [(2000,)]


def test_a_reference_that_is_masked_away_leaves_nothing_out(shop) -> None:
    filled(shop)
    shop.sync(
        ORDERS_POLICY.replace(
            "carts: {columns: {id: keep, customer: keep}}", 'carts: {columns: {id: keep, customer: "null"}}'
        )
    )
    assert shop.read("SELECT count(*), count(customer) FROM carts") == [(2000, 0)]


def test_a_preview_shows_rows_of_the_subset(shop) -> None:
    filled(shop)
    policy = read_policy(ORDERS_POLICY.replace("percent: 10", "newest: 2, by: id"))
    with shop.database.snapshot("production") as source:
        assert [row["id"] for row in preview(source, policy, "customers")] == [1998, 1999]
        assert {row["customer"] for row in preview(source, policy, "orders")} == {1998, 1999}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("percent: 10", "newest: 3, by: nothing"), "tables.customers.subset.by: there is no column 'nothing'"),
        (("percent: 10", 'where: "nothing > 1"'), "tables.customers.subset.where: not a usable condition"),
        (("percent: 10", 'where: "1) OR (1"'), "tables.customers.subset.where: not a usable condition"),
        (("id INTEGER PRIMARY KEY, email", "id INTEGER, email"), "tables.customers.subset: needs a primary key"),
        (
            ("  customers: {subset: {percent: 10}, columns: {id: keep, email: email}}\n  orders: {", "  customers: truncate\n  orders: {subset: {percent: 10}, "),
            "tables.orders: each of its rows refers to customers (customer), which is truncated",
        ),
    ],
)  # fmt: skip
def test_a_subset_that_does_not_fit_is_refused_by_its_line(shop, change: tuple[str, str], said: str) -> None:
    shop.fill(ORDERS.replace(*change) if change[0] in ORDERS else ORDERS)
    with pytest.raises(Refused) as caught:
        shop.sync(ORDERS_POLICY.replace(*change))
    assert said in caught.value.message
    assert "sanitize.yaml:" in caught.value.message


CIRCLE = "CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff, gone INTEGER)"
CIRCLE_POLICY = 'tables: {staff: {subset: {where: "gone = 0"}, columns: {id: keep, boss: keep, gone: keep}}}'


def test_a_chain_of_any_length_is_followed(shop) -> None:
    shop.fill(
        CIRCLE,
        (
            "INSERT INTO staff VALUES (?, ?, ?)",
            [(at, at - 1 or None, at in (5, 20_001)) for at in range(1, 30_001)],
        ),
    )
    shop.sync(CIRCLE_POLICY)
    assert shop.read("SELECT count(*), max(id) FROM staff") == [(4, 4)]


def test_more_rows_than_fit_in_a_statement_are_refused(shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subset, "MOST_LISTED", 10)
    shop.fill(
        CIRCLE, ("INSERT INTO staff VALUES (?, ?, ?)", [(at, at - 1 or None, at == 5) for at in range(1, 51)])
    )
    with pytest.raises(Refused) as caught:
        shop.sync(CIRCLE_POLICY)
    assert caught.value.number == 538
    assert "rows of staff" in caught.value.message


def test_everything_that_refers_to_a_seed_is_found_once() -> None:
    children, parents = pl.Series([2, 3, 1, 4, 9, 6]), pl.Series([1, 2, 3, 1, 8, 6])
    assert followed(children, parents, [1]) == {1, 2, 3, 4}
    assert followed(children, parents, [6]) == {6}
    assert followed(children.clear(), parents.clear(), [7]) == {7}
