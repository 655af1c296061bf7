"""What of the originals is found in a finished copy, and what is not taken for one."""

from __future__ import annotations

import random

import pytest

from branchline.adapters.databases import sqlite_snapshot
from branchline.errors import Failed
from branchline.sanitize import leaks
from branchline.sanitize.pools import pool
from tests.sanitize.people import POLICY, filled, people

PERSONS = """
CREATE TABLE persons (id INTEGER PRIMARY KEY, first TEXT, last TEXT, name TEXT, card TEXT, display_name TEXT, note TEXT,
  whole TEXT AS (first || ' ' || last));
"""
PERSONS_POLICY = """
tables:
  persons:
    columns:
      id: keep
      first: first_name
      last: last_name
      name: full_name
      card: {mask: json, paths: {"$.name": full_name, "$.memo": keep}}
      display_name: keep
      note: keep
"""


def invented_names(shop, count: int = 2500, **planted: str) -> None:
    """Persons whose real names are all in the pools that masks draw from; `planted` replaces a column of the 8th."""
    chance, rows = random.Random(5), []
    firsts, lasts = (pool("en_US", kind).to_list() for kind in ("first_name", "last_name"))
    for number in range(1, count + 1):
        first, last = chance.choice(firsts), chance.choice(lasts)
        row = {"id": number, "first": first, "last": last, "name": f"{first} {last}",
               "card": f'{{"name": "{first} {last}"}}', "display_name": f"user {number % 9}", "note": "likes tea"}  # fmt: skip
        rows.append({**row, **planted} if number == 8 else row)
    names = ", ".join(f":{column}" for column in rows[0])
    shop.fill(PERSONS, (f"INSERT INTO persons VALUES ({names})", rows))


@pytest.mark.parametrize("number", range(4))
def test_an_invented_name_that_is_somebody_elses_is_a_coincidence(shop, number: int) -> None:
    invented_names(shop)
    report = shop.sync(PERSONS_POLICY, key=bytes([number]) * 32)
    assert report.leaks == 0
    assert report.coincidences > 0


@pytest.mark.parametrize("columns", ["name, first, last", "first, last"])
def test_a_kept_note_that_mentions_another_customer_by_a_name_of_the_pools_is_a_leak(
    shop, columns: str
) -> None:
    invented_names(shop)
    ((name,),) = shop.read("SELECT whole FROM persons WHERE id = 2000", where="production")
    shop.fill("", ("UPDATE persons SET note = ? WHERE id = 8", [(f"Her sister, {name.upper()}, pays.",)]))
    policy = PERSONS_POLICY
    if "name," not in columns:
        shop.fill("UPDATE persons SET name = NULL, card = NULL")
    with pytest.raises(Failed, match=r"copy: persons\.note \(1 row\)\."):
        shop.sync(policy)


def test_a_kept_part_of_json_that_names_somebody_is_a_leak(shop) -> None:
    invented_names(shop, card='{"name": "Ann Other", "memo": "ask Ann Other"}', name="Ann Other")
    with pytest.raises(Failed, match=r"copy: persons\.card \(1 row\)\."):
        shop.sync(PERSONS_POLICY)


def test_a_kept_value_that_equals_what_was_masked_in_its_row_is_a_leak_however_short(shop) -> None:
    invented_names(shop, last="Ng", display_name="NG")
    with pytest.raises(Failed, match=r"copy: persons\.display_name \(1 row\)\."):
        shop.sync(PERSONS_POLICY)


def test_a_kept_word_that_mostly_stands_beside_other_originals_is_a_coincidence(shop) -> None:
    invented_names(shop, last="Berlin", display_name="Berlin")
    shop.fill("UPDATE persons SET display_name = 'Berlin' WHERE id BETWEEN 100 AND 200")
    report = shop.sync(PERSONS_POLICY)
    assert report.coincidences > 0


def test_kept_numbers_are_compared_within_the_row_and_small_ones_not_at_all(shop) -> None:
    shop.fill(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, account INTEGER, phone TEXT, place INTEGER, n INTEGER)",
        ("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [(i, i, f"+49 170 {i:07d}", i, i) for i in range(1, 300)]),
    )
    policy = "tables: {t: {columns: {id: keep, account: token, phone: phone, place: keep, n: keep}}}"
    assert shop.sync(policy).leaks == 0
    shop.fill("UPDATE t SET phone = '+491701234567', n = 491701234567 WHERE id = 9")
    with pytest.raises(Failed, match=r"copy: t\.n \(1 row\)\."):
        shop.sync(policy)


def test_rows_of_a_keep_list_may_equal_what_they_are(shop) -> None:
    invented_names(shop, last="Ng", display_name="Ng")
    rule = 'keep_rows: {where: "id = 8", reason: staff}\n    columns:'
    assert shop.sync(PERSONS_POLICY.replace("columns:", rule)).leaks == 0


def test_where_the_key_is_masked_too_the_same_column_must_hold_the_original(shop) -> None:
    rows = [(f"k{i}", f"Anna Muster{i}", "visited by Anna Muster3" if i == 5 else "tea") for i in range(50)]
    shop.fill(
        "CREATE TABLE t (k TEXT PRIMARY KEY, name TEXT, note TEXT) WITHOUT ROWID",
        ("INSERT INTO t VALUES (?, ?, ?)", rows),
    )
    policy = "tables: {t: {columns: {k: token, name: full_name, note: redact}}}"
    with pytest.raises(Failed, match=r"copy: t\.note \(1 row\)\."):
        shop.sync(policy)
    shop.fill("UPDATE t SET note = 'tea'")
    assert shop.sync(policy).leaks == 0


def test_an_email_in_a_kept_note_stops_the_sync_and_is_not_quoted(shop, seen) -> None:
    rows = people(50)
    rows[7] = (*rows[7][:5], "spoke to her brother (Anna.Muster3@mail.example), all well.")
    filled(shop, rows)
    with pytest.raises(Failed) as caught:
        shop.sync(POLICY)
    assert caught.value.number == 505
    assert "people.note (1 row)" in caught.value.message
    assert "muster" not in seen(caught.value).lower()


@pytest.mark.parametrize(
    "note",
    [
        "call 0049 / (170) 123-4567 tomorrow",
        '{"contact": {"tel": "+49 170 1234567"}}',
        "lives in 12 Long Elm Road, second floor",
        '{"street": "12 L\\u006fng Elm Road"}',
        "12 LONG ELM ROAD",
    ],
)
def test_a_phone_or_street_inside_kept_text_is_a_leak(shop, note: str) -> None:
    shop.fill(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, phone TEXT, street TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, note TEXT)",
        (
            "INSERT INTO a VALUES (?, ?, ?)",
            [(1, "+49 170 1234567", "12 Long Elm Road"), (2, "+49 171 7654321", "1 Other Way")],
        ),
        ("INSERT INTO b VALUES (?, ?)", [(1, "nothing here"), (2, note)]),
    )
    policy = "tables: {a: {columns: {id: keep, phone: phone, street: street}}, b: {columns: {id: keep, note: keep}}}"
    with pytest.raises(Failed, match=r"b\.note \(1 row\)"):
        shop.sync(policy)


def test_common_words_and_names_do_not_cry_wolf(shop) -> None:
    rows = [
        (i, f"m{i}@mail.example", "May", "Price", "admin", "price in May as usual, ask admin 2024-01-01")
        for i in range(40)
    ]
    filled(shop, rows)
    assert shop.sync(POLICY).leaks == 0


STORIES = """
CREATE TABLE stories (id INTEGER PRIMARY KEY, email TEXT, body TEXT, more TEXT, picture BLOB, level REAL, kept TEXT, fed BLOB);
"""
STORIES_POLICY = """
tables:
  stories:
    columns: {id: keep, email: email, body: redact, more: {mask: json, paths: {"$.mail": email, "$.**": keep}}, picture: "null",
              level: phone, kept: keep, fed: keep}
"""


def stories(shop, **planted: object) -> None:
    """Twenty rows of ordinary texts; `planted` replaces columns of the third."""
    rows = []
    for number in range(20):
        row = {"id": number, "email": f"ann{number}@mail.example", "body": f"The parcel {number} arrived late, write to joe{number}@shop.example",
               "more": f'{{"color": "dark red {number}", "mail": "kim{number}@mail.example"}}', "picture": b"by eve@mail.example", "level": 49301234567.0 + number,
               "kept": "likes tea", "fed": b"\x89PNG"}  # fmt: skip
        if number % 2 == 0:
            row |= {
                "body": f"Great shoes, pair {number}, would buy again",
                "more": f'{{"color": "dark red {number}", "mail": null}}',
            }
        rows.append({**row, **planted} if number == 3 else row)
    shop.fill(STORIES, (f"INSERT INTO stories VALUES ({', '.join(f':{name}' for name in rows[0])})", rows))


def test_free_text_that_is_redacted_and_json_that_is_kept_in_part_pass(shop) -> None:
    stories(shop)
    report = shop.sync(STORIES_POLICY)
    assert (report.leaks, report.coincidences) == (0, 0)
    assert shop.read("SELECT body FROM stories WHERE id = 3") == [
        ("The parcel 3 arrived late, write to [e-mail]",)
    ]


@pytest.mark.parametrize(
    "original",
    ["joe3@shop.example", "kim3@mail.example", "eve@mail.example", "49301234570"],
    ids=["in a text", "in JSON", "in bytes", "a number with a point"],
)
def test_what_is_masked_inside_a_value_is_an_original_too(shop, original: str) -> None:
    stories(shop, kept=f"call {original} again")
    with pytest.raises(Failed, match=r"stories\.kept \(1 row\)"):
        shop.sync(STORIES_POLICY)


@pytest.mark.parametrize(
    "kept", ["write to ann3@mail.example.Thanks, Joe", "see /unsubscribe?e=ann3%40mail.example"]
)
def test_an_address_that_a_text_has_not_set_apart_is_found(shop, kept: str) -> None:
    stories(shop, kept=kept)
    with pytest.raises(Failed, match=r"stories\.kept \(1 row\)"):
        shop.sync(STORIES_POLICY)


def test_a_key_of_json_that_is_somebodys_address_is_found(shop) -> None:
    stories(shop, more='{"zoe@mail.example": "dark red"}')
    with pytest.raises(Failed, match=r"stories\.more \(1 row\)"):
        shop.sync(STORIES_POLICY)


def test_rows_of_a_keep_list_pass_with_their_bytes(shop) -> None:
    stories(shop)
    keep = "keep_rows: {where: id = 2, reason: it is ours}\n    columns:"
    assert shop.sync(STORIES_POLICY.replace("columns:", keep)).leaks == 0
    assert shop.read("SELECT count(*) FROM stories WHERE picture IS NOT NULL") == [(1,)]


SHARED = "CREATE TABLE staff (id INTEGER PRIMARY KEY, firm TEXT, email TEXT, shown TEXT)"
SHARED_POLICY = "tables: {staff: {columns: {id: keep, firm: company, email: email, shown: keep}}}"


def staff(shop, shown: str, last: str) -> None:
    """Many people of one firm, of whom each row shows a text; the last row shows another."""
    rows = [(number, "Acme Ltd 7", f"ann{number}@mail.example", shown) for number in range(20_000)]
    rows.append((20_000, None, "bob@mail.example", last))
    shop.fill(SHARED, ("INSERT INTO staff VALUES (?, ?, ?, ?)", rows))


def test_a_leak_behind_more_coincidences_than_are_kept_is_found(shop, monkeypatch) -> None:
    monkeypatch.setattr(leaks, "MOST_HITS", 300)
    monkeypatch.setattr(sqlite_snapshot, "MOST_ROWS", 256)
    staff(shop, "of Acme Ltd 7", "write to bob@mail.example")
    with pytest.raises(Failed, match=r"copy: staff\.shown \(1 row\)"):
        shop.sync(SHARED_POLICY)


def test_more_different_hits_than_can_be_judged_are_a_failure(shop, monkeypatch) -> None:
    monkeypatch.setattr(leaks, "MOST_HITS", 300)
    monkeypatch.setattr(sqlite_snapshot, "MOST_ROWS", 256)
    staff(shop, "nothing", "nothing")
    shop.fill("UPDATE staff SET shown = 'about ' || email")
    with pytest.raises(Failed, match=r"staff\.shown of the copy holds too many") as failed:
        shop.sync(SHARED_POLICY)
    assert failed.value.number == 505


def test_an_address_in_the_folder_of_a_masked_path_is_a_leak(shop) -> None:
    shop.fill(
        "CREATE TABLE avatar (id INTEGER PRIMARY KEY, email TEXT, file TEXT)",
        ("INSERT INTO avatar VALUES (?, ?, ?)", [(1, "ann@mail.example", "users/ann@mail.example/me.png")]),
    )
    with pytest.raises(Failed, match=r"avatar\.file"):
        shop.sync("tables: {avatar: {columns: {id: keep, email: email, file: path}}}")


def test_what_disarming_puts_into_a_truncated_table_is_searched(shop) -> None:
    shop.fill(
        "CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT, memo TEXT);"
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, was TEXT);"
        "CREATE TRIGGER told AFTER UPDATE ON people BEGIN INSERT INTO audit (was) VALUES (old.memo); END;",
        ("INSERT INTO people VALUES (?, ?, ?)", [(1, "ann@mail.example", "write to ann@mail.example")]),
    )
    policy = (
        "{tables: {people: {columns: {id: keep, email: email, memo: keep}}, audit: truncate},"
        " disarm: {sql: [\"UPDATE people SET memo = ''\"]}}"
    )
    with pytest.raises(Failed, match=r"audit\.was"):
        shop.sync(policy)
