"""A project's policy over its packs."""

from __future__ import annotations

from branchline.domain.composition import Pack, compose, within
from branchline.domain.policy import Place, Policy, parse
from branchline.domain.schema import Column, Schema, Table
from branchline.sanitize.checking import check

PACK = {
    "tables": {
        "people": {"where": "id > 1", "columns": {"id": "keep", "name": "full_name", "mail": "email"}},
        "log": "truncate",
        "old": {"columns": {"id": "keep"}},
    },
    "files": {"media": {"people/**": "placeholder", "goods/**": "copy"}},
    "disarm": {"sql": ["DELETE FROM queue"], "assert": ["SELECT 1"]},
}
LINES = {("tables", "people"): 2, ("tables", "people", "columns", "mail"): 5}
PEOPLE = Table("people", tuple(Column(name, "TEXT", "text") for name in ("id", "name", "mail")))


def composed(own: dict, *packs: dict) -> Policy:
    read = [
        Pack(f"pack{n}.yaml", parse(each, lines=LINES, pack=True)[0])
        for n, each in enumerate(packs or (PACK,))
    ]
    return compose(parse(own)[0], read)


def test_what_a_project_does_not_decide_its_pack_does() -> None:
    policy = composed({"locale": "de_DE"})
    assert policy.locale == "de_DE"
    assert policy.tables["people"].columns["mail"].mask == "email"
    assert policy.tables["log"].action == "truncate"
    assert policy.disarm == ("DELETE FROM queue",)


def test_a_projects_line_wins_over_the_packs_column_by_column() -> None:
    policy = composed({"tables": {"people": {"columns": {"name": "keep", "badge": "token"}}}})
    assert {name: rule.mask for name, rule in policy.tables["people"].columns.items()} == {
        "id": "keep",
        "name": "keep",
        "mail": "email",
        "badge": "token",
    }
    assert policy.tables["people"].where == "id > 1"


def test_a_project_may_take_another_action_or_another_condition() -> None:
    policy = composed(
        {"tables": {"people": "truncate", "log": {"columns": {"line": "text"}}, "old": {"where": "id < 9"}}}
    )
    assert policy.tables["people"].action == "truncate"
    assert policy.tables["log"].action == "copy"
    assert list(policy.tables["log"].columns) == ["line"]
    assert policy.tables["old"].where == "id < 9"


def test_a_subset_is_the_projects_or_else_the_packs() -> None:
    pack = parse({"tables": {"a": {"subset": {"percent": 5}}, "b": {"subset": {"percent": 5}}}})[0]
    own = parse({"tables": {"a": {"subset": {"percent": 50}}}})[0]
    tables = compose(own, [Pack("pack.yaml", pack)]).tables
    assert [str(tables[name].subset) for name in ("a", "b")] == ["50%", "5%"]


def test_files_and_disarm_are_added_to_and_the_projects_globs_come_first() -> None:
    policy = composed(
        {
            "files": {"media": {"people/**": "skip", "**": "placeholder"}},
            "disarm": {"sql": ["DELETE FROM mine"], "assert": ["SELECT 2"]},
        }
    )
    assert [(rule.glob, rule.action, rule.packed) for rule in policy.files["media"]] == [
        ("people/**", "skip", False),
        ("**", "placeholder", False),
        ("goods/**", "copy", True),
    ]
    assert policy.disarm == ("DELETE FROM queue", "DELETE FROM mine")
    assert policy.assertions == ("SELECT 1", "SELECT 2")


def test_a_later_pack_wins_over_an_earlier() -> None:
    policy = composed({}, PACK, {"tables": {"people": {"columns": {"mail": "token"}}}})
    assert policy.tables["people"].columns["mail"].mask == "token"
    assert policy.place("sanitize.yaml", ("tables", "people", "columns", "mail")).file == "pack1.yaml"


def test_a_packs_line_about_nothing_is_fine_and_a_projects_own_is_not() -> None:
    schema = Schema({"people": Table("people", PEOPLE.columns[:2])})
    assert check(composed({}), schema) == []
    own = composed({"tables": {"old": {"columns": {"id": "keep"}}, "people": {"columns": {"mial": "email"}}}})
    assert [(each.file, each.key) for each in check(own, schema)] == [
        ("sanitize.yaml", "tables.old"),
        ("sanitize.yaml", "tables.people.columns.mial"),
    ]


def test_a_problem_with_a_packs_line_is_told_with_its_place() -> None:
    number = Column("mail", "INTEGER", "integer")
    (problem,) = check(composed({}), Schema({"people": Table("people", (*PEOPLE.columns[:2], number))}))
    assert (problem.file, problem.line, problem.key) == ("pack0.yaml", 5, "tables.people.columns.mail")


def test_a_column_that_no_pack_knows_is_the_projects_to_decide() -> None:
    table = Table("people", (*PEOPLE.columns, Column("nickname", "TEXT", "text")))
    (problem,) = check(composed({}), Schema({"people": table}))
    assert problem.file == "sanitize.yaml"
    assert "nickname" in problem.what
    assert problem.yaml.startswith("  people:\n    columns:\n      nickname: ")


def test_only_what_is_there_is_left_for_a_sync() -> None:
    policy = within(composed({}), Schema({"people": Table("people", PEOPLE.columns[:2])}))
    assert {name: list(rule.columns) for name, rule in policy.tables.items()} == {"people": ["id", "name"]}


def test_a_place_is_that_of_whoever_decides() -> None:
    policy = composed({"tables": {"people": {"columns": {"name": "keep"}}}})
    assert policy.place("own.yaml", ("tables", "people", "columns", "name")) == Place("own.yaml", 0)
    assert policy.place("own.yaml", ("tables", "people", "columns", "mail")) == Place("pack0.yaml", 5)
