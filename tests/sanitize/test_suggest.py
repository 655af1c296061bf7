"""First policies and previews."""

from __future__ import annotations

import json

import pytest

from branchline.domain.schema import Column, Schema, Table
from branchline.errors import BadInput, Refused
from branchline.sanitize.checking import check
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.suggest import preview, sample, suggest

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT UNIQUE, contact TEXT, first_name TEXT, address TEXT, birth_date TEXT,
  pass_hash TEXT, "on" TEXT, created_at TEXT, points INTEGER, photo BLOB NOT NULL, country TEXT);
CREATE TABLE sessions (id TEXT PRIMARY KEY, data TEXT);
CREATE VIRTUAL TABLE found USING fts5(x);
"""


@pytest.fixture
def filled(shop):
    rows = [
        (i, f"zelda{i}@mail.example", f"quirin{i}@mail.example", "Zelda", json.dumps({"street": f"{i} Quirinweg"}), "1980-01-02",
         "$2b$12$quirin", f"Quirin {i}", "2024-01-01 00:00:00", i, b"x", "DE")
        for i in range(60)
    ]  # fmt: skip
    shop.fill(SCHEMA, (f"INSERT INTO customers VALUES ({', '.join('?' * 12)})", rows))
    return shop


def test_a_suggested_policy_fits_its_schema_and_quotes_no_value(filled) -> None:
    with filled.database.snapshot("production") as source:
        schema = source.schema()
        text = suggest(schema, sample(source), ["media"])
    policy = read_policy(text)
    assert check(policy, schema) == []
    chosen = {name: rule.mask for name, rule in policy.tables["customers"].columns.items()}
    assert chosen["email"] == chosen["contact"] == "email"
    assert chosen["first_name"] == "first_name"
    assert chosen["address"] == "json"
    assert chosen["birth_date"] == "date_shift"
    assert chosen["pass_hash"] == "password"
    assert chosen["created_at"] == chosen["points"] == chosen["country"] == "keep"
    assert policy.tables["sessions"].action == "truncate"
    assert "quirin" not in text.lower()
    assert "zelda" not in text.lower()
    assert "values look like e-mail addresses" in text


@pytest.mark.parametrize(
    ("name", "declared", "value", "mask"),
    [
        ("postcode", "TEXT", "10115", "postcode"),
        ("zip_code", "VARCHAR(9)", "90210", "postcode"),
        ("postcode", "INTEGER", 10115, "number_noise"),
        ("ssn", "TEXT", "078051120", "token"),
        ("ssn", "INTEGER", 78051120, "token"),
        ("comment_count", "TEXT", "12", "keep"),
        ("session_id", "INTEGER", 12, "keep"),
        ("email_verified_at", "TEXT", "2024-01-02 10:00:00", "keep"),
        ("height", "TEXT", "182", "keep"),
    ],
)
def test_a_name_that_speaks_of_a_person_wins_over_digits(
    shop, name: str, declared: str, value: object, mask: str
) -> None:
    shop.fill(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, {name} {declared})",
        (f"INSERT INTO t ({name}) VALUES (?)", [(value,)] * 5),
    )
    with shop.database.snapshot("production") as source:
        policy = read_policy(suggest(source.schema(), sample(source)))
        assert check(policy, source.schema()) == []
    assert policy.tables["t"].columns[name].mask == mask


def test_a_suggested_policy_can_be_synced_with(filled) -> None:
    with filled.database.snapshot("production") as source:
        text = suggest(source.schema(), sample(source))
    report = filled.sync(text)
    assert report.leaks == 0
    assert filled.read("SELECT count(*) FROM customers WHERE contact LIKE '%@example.test'") == [(60,)]


def test_a_preview_shows_masked_rows_only(filled) -> None:
    with filled.database.snapshot("production") as source:
        policy = read_policy(suggest(source.schema(), sample(source)))
        rows = preview(source, policy, "customers", 3)
        assert preview(source, policy, "sessions") == []
        with pytest.raises(BadInput):
            preview(source, policy, "nothing")
        with pytest.raises(Refused):
            preview(source, read_policy("tables: {}"), "customers")
    assert len(rows) == 3
    assert not any(word in json.dumps(rows).lower() for word in ("quirin", "zelda"))
    assert rows[0]["email"].endswith("@example.test")


@pytest.mark.parametrize(
    ("column", "line"),
    [
        (Column("born", "date", "time"), "keep"),
        (Column("birth_date", "date", "time"), "{mask: date_shift, days: 30}"),
        (Column("birth_date", "date", "time", unique=True), "keep"),
        (Column("session_start", "timestamp with time zone", "time"), "keep"),
        (Column("profile", "jsonb", "json"), '{mask: json, paths: {"$.**": text}}'),
        (Column("profile", "jsonb", "json", nullable=False), '{mask: json, paths: {"$.**": text}}'),
        (Column("seen_from", "inet", "ip"), "ip"),
        (Column("id", "uuid", "uuid", unique=True, key=True), "keep"),
        (Column("api_key", "uuid", "uuid"), "token"),
        (Column("phone", "uuid", "uuid"), "keep"),
        (Column("active", "boolean", "other"), "keep"),
        (Column("stay", "daterange", "other"), "keep"),
        (Column("emails", "text[]", "other"), '"null"'),
        (Column("emails", "text[]", "other", nullable=False), '{mask: constant, value: "{}"}'),
        (Column("page", "xml", "other", nullable=False), '{mask: constant, value: ""}'),
        (Column("more", "extras.hstore", "other", nullable=False), '{mask: constant, value: ""}'),
        (Column("home", "address", "other"), '"null"'),
        (Column("home", "address", "other", nullable=False), "keep"),
    ],
)
def test_a_draft_for_what_must_keep_a_form_fits_it(column: Column, line: str) -> None:
    schema = Schema({"t": Table("t", (column,))})
    text = suggest(schema, {})
    assert f"{column.name}: {line}  # " in text
    assert check(read_policy(text), schema) == []


def test_words_of_few_kinds_are_kept_where_samples_show_them() -> None:
    column = Column("mood", "mood", "other")
    text = suggest(Schema({"t": Table("t", (column,))}), {"t": {"mood": ["sad", "happy"] * 40}})
    assert "mood: keep  # few different short values" in text
