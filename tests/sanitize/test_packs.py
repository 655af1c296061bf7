"""Policies that extend packs."""

from __future__ import annotations

from pathlib import Path

import pytest

from branchline.domain.composition import compose
from branchline.domain.policy import Policy
from branchline.errors import BadInput
from branchline.sanitize.checking import check
from branchline.sanitize.policy_file import read_packs, read_policy
from branchline.sanitize.suggest import suggest

PACK = """\
tables:
  people:
    columns:
      id: keep
      mail: email
  gone: {columns: {x: keep}}
disarm: {sql: ["UPDATE people SET mail = mail"]}
"""
SCRIPT = "CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT); CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)"


@pytest.fixture
def packs(tmp_path: Path) -> list[Path]:
    directory = tmp_path / "sanitization"
    directory.mkdir()
    (directory / "shop.yaml").write_text(PACK)
    return [directory]


def test_a_database_is_synced_by_a_pack_and_the_projects_own_lines(shop, packs) -> None:
    shop.fill(SCRIPT, ("INSERT INTO people VALUES (?, ?)", [(1, "zelda@mail.example")]), ("INSERT INTO notes VALUES (?, ?)", [(1, "zelda was here")]))  # fmt: skip
    report = shop.sync("extends: [shop]\ntables: {notes: {columns: {id: keep, note: text}}}", packs=packs)
    assert report.rows == 2
    assert {table.name for table in report.tables} == {"people", "notes"}
    assert report.disarmed == 1
    assert shop.read("SELECT mail LIKE '%@example.test' FROM people") == [(1,)]


def test_an_unknown_pack_is_one_error_that_names_those_there_are(packs) -> None:
    with pytest.raises(BadInput) as caught:
        read_policy("locale: en_US\nextends: [shp]", packs=packs)
    assert (
        "sanitize.yaml:2:extends: there is no pack 'shp' (did you mean shop?); there are: shop"
        in caught.value.message
    )
    assert caught.value.number == 500
    with pytest.raises(BadInput, match="there are: none"):
        read_policy("extends: [shop]")


@pytest.mark.parametrize("name", ["../shop", "/etc/passwd", "shop.yaml", ""])
def test_a_pack_is_a_name_and_no_path(packs, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_policy(f"extends: ['{name}']", packs=packs)
    assert caught.value.number == 500


def test_the_operators_pack_counts_where_two_have_one_name(packs, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "shop.yaml").write_text("tables: {people: truncate}")
    assert read_policy("extends: [shop]", packs=[mine, *packs]).tables["people"].action == "truncate"


def test_what_is_wrong_in_a_pack_is_told_with_its_file_and_line(packs) -> None:
    (packs[0] / "shop.yaml").write_text(
        "locale: de_DE\nextends: [other]\ntables:\n  people:\n    columns: {mail: emial}\n"
    )
    with pytest.raises(BadInput) as caught:
        read_policy("extends: [shop]", packs=packs)
    for said in (
        "sanitization/shop.yaml:1:locale: is for a project",
        "sanitization/shop.yaml:2:extends: is for a project",
        "sanitization/shop.yaml:5:tables.people.columns.mail: there is no mask 'emial'",
    ):
        assert said in caught.value.message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("pack", [False, True])
def test_another_encoding_is_one_clear_error(packs, encoding: str, pack: bool) -> None:
    data = "tables: {}  # für Änne\n".encode(encoding)
    if pack:
        (packs[0] / "shop.yaml").write_bytes(data)
    with pytest.raises(
        BadInput, match=r"1 problem in .*\n.*is not UTF-8: save it in that encoding"
    ) as caught:
        read_policy("extends: [shop]" if pack else data, packs=packs)
    assert ("sanitization/shop.yaml" in caught.value.message) is pack


def test_a_draft_holds_only_what_its_packs_do_not_decide(shop, packs) -> None:
    shop.fill(f"{SCRIPT}; ALTER TABLE people ADD phone TEXT")
    known = compose(Policy(extends=("shop",)), read_packs(["shop"], packs=packs))
    with shop.database.snapshot("production") as source:
        text = suggest(source.schema(), {}, ["media"], known)
        policy = read_policy(text, packs=packs)
        assert check(policy, source.schema()) == []
    assert "extends: [shop]\n" in text
    assert "mail" not in text
    assert "      phone: phone" in text
    assert "  notes:\n" in text
