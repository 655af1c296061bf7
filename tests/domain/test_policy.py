"""What a sanitizing policy may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.policy import FileRule, parse
from branchline.errors import BadInput
from branchline.sanitize.policy_file import read_policy

GOOD = """
locale: de_DE
tables:
  customers:
    keep_rows: {where: "email LIKE '%@ourshop.example'", reason: staff}
    columns:
      id: keep
      address: {mask: json, paths: {"$.street": street}}
      country: {mask: keep, reason: two letters}
  sessions: truncate
  orders: {where: "id > 5", columns: {}}
files: {media: {"products/**": copy, "avatars/**": {action: placeholder, rename: false}, "**": placeholder}}
disarm: {sql: [DELETE FROM q], assert: [SELECT 1]}
"""


def test_a_policy_is_read_as_it_is_written() -> None:
    policy = read_policy(GOOD)
    assert policy.locale == "de_DE"
    assert policy.tables["sessions"].action == "truncate"
    assert policy.tables["orders"].where == "id > 5"
    customers = policy.tables["customers"]
    assert customers.keep_rows is not None
    assert customers.keep_rows.reason == "staff"
    assert customers.columns["address"].parameters == {"paths": {"$.street": "street"}}
    assert customers.columns["country"].reason == "two letters"
    assert [(rule.glob, rule.action, rule.rename) for rule in policy.files["media"]] == [
        ("products/**", "copy", False),
        ("avatars/**", "placeholder", False),
        ("**", "placeholder", True),
    ]
    assert policy.disarm == ("DELETE FROM q",)


def test_every_problem_is_said_at_once_with_its_place() -> None:
    bad = """
locale: xx_YY
tabels: {}
tables:
  a: drop
  b: {columns: {x: emial, y: {mask: date_shift}, z: {mask: email, percent: 3}, n: null, k: {mask: number_noise, percent: 900}}}
  c: {keep_rows: {where: "1"}, columns: [x]}
files: {media: {"x/**": delete}}
disarm: {sql: DELETE}
"""
    with pytest.raises(BadInput) as caught:
        read_policy(bad)
    for part in (
        "sanitize.yaml:2:locale", "sanitize.yaml:3:tabels", ":5:tables.a: is 'drop'", "columns.x: there is no mask 'emial' (did you mean email",
        "columns.y: date_shift needs `days`", "columns.z: email has no parameter 'percent'", "columns.n: no mask",
        "percent is 900", "tables.c.keep_rows", "tables.c.columns", "files.media.x/**", "disarm.sql",
    ):  # fmt: skip
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "tables.t.subset: needs one of: `newest` with `by`, `percent`, `where`"),
        ("", "tables.t.subset: is None, not a mapping"),
        ("all", "tables.t.subset: is 'all', not a mapping"),
        ("{newest: 5}", "tables.t.subset: needs one of"),
        ("{by: x}", "tables.t.subset: needs one of"),
        ("{percent: 5, by: x}", "tables.t.subset: needs one of"),
        ("{percent: 5, where: x}", "tables.t.subset: needs one of"),
        ('{where: " "}', "tables.t.subset: needs one of"),
        ("{newest: 0, by: x}", "tables.t.subset.newest: is 0; allowed: a whole number from 1"),
        ("{newest: true, by: x}", "tables.t.subset.newest: is True"),
        ("{newest: 5, by: 7}", "tables.t.subset.by: is 7, not a column's name"),
        ("{percent: 0}", "tables.t.subset.percent: is 0; allowed: a number above 0, up to 100"),
        ("{percent: 100.5}", "tables.t.subset.percent: is 100.5"),
        ("{percent: .nan}", "tables.t.subset.percent: is '.nan'"),
        ("{percents: 5}", "tables.t.subset.percents: is not a key here"),
    ],
)
def test_a_subset_that_says_nothing_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_policy(f"tables:\n  t:\n    subset: {text}\n    columns: {{}}\n")
    assert f"sanitize.yaml:3:{said}" in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tables: {a: truncate, a: truncate}", "duplicate key, first given on line 1"),
        ("tables: [", "is not YAML"),
        (b"\xff\xfe", "not UTF-8"),
        ("[1, 2]", "must hold keys and values"),
        ("a: !!python/object/apply:os.system [x]", "is not supported"),
        ("x: " + "y" * 2**20, "at most 1048576"),
        ("[" * 5000, "nested more than"),
        ("{1: 2}", "sanitize.yaml:1:1: is not a key here"),
        ("? [a]\n: 1", "a key is a text"),
        ("tables: {a: {columns: {x: {mask: json, paths: [1]}}}}", "json.paths"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_in_one_error(text: str | bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read_policy(text)
    assert caught.value.number == 500


@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text()), lambda inner: st.lists(inner) | st.dictionaries(st.one_of(st.text(), st.sampled_from(["tables", "files", "disarm", "columns", "mask"])), inner)))  # fmt: skip
def test_any_document_is_a_policy_or_has_problems(document: object) -> None:
    policy, problems = parse(document)
    assert problems or policy.locale


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("**", "a/b.png", True),
        ("avatars/**", "avatars/x/y.png", True),
        ("avatars/**", "avatarsx/y.png", False),
        ("*.png", "a.png", True),
        ("*.png", "a/b.png", False),
        ("**/*.png", "b.png", True),
        ("**/*.png", "a/b/c.png", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[x]", "[x]", True),
        ("**", "new\nline", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    assert FileRule(glob, "copy", rename=False).matches(path) is matches
