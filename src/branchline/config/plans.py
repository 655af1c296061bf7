"""Plans, from config/plans.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from branchline.config.operator_file import open_file
from branchline.config.problems import bad_files
from branchline.config.schema import documented_keys, unknown_key, validated
from branchline.config.yaml_source import Document, Problem, described
from branchline.domain.plan import Plan, plan_problems
from branchline.errors import BadInput

_HIDDEN = frozenset({"name"})


def read_plans(path: Path) -> Mapping[str, Plan]:
    """Plans by name. Raises BadInput: 104 where the file cannot be read, 102 with every problem in it."""
    document = open_file(path)
    plans: dict[str, Plan] = {}
    problems = list(document.problems)
    for name, value in _entries(document, problems).items():
        plan, found = _plan(document, name, value)
        problems += found
        if plan is not None:
            plans[name] = plan
    if problems:
        raise bad_files(102, [document.file], problems, f"correct {path}")
    return plans


def plan_named(plans: Mapping[str, Plan], name: str) -> Plan:
    """One of the plans. Raises BadInput, naming those that there are."""
    if name in plans:
        return plans[name]
    raise BadInput(105, f"There is no plan {name!r}.", f"choose one of: {', '.join(plans)}")


def plan_keys() -> dict[str, str]:
    """One-sentence description by dotted key of a plan, below `plans.<name>`."""
    return {key: said for key, said in documented_keys(Plan).items() if key not in _HIDDEN}


def _entries(document: Document, problems: list[Problem]) -> Mapping[str, object]:
    if not isinstance(document.value, dict):
        return {}
    problems += [
        document.problem((key,), unknown_key(key, ("plans",))) for key in document.value if key != "plans"
    ]
    plans = document.value.get("plans")
    if isinstance(plans, dict) and plans:
        return plans
    problems.append(
        document.problem(("plans",), f"must be a mapping with at least one plan; is {described(plans)}")
    )
    return {}


def _plan(document: Document, name: str, value: object) -> tuple[Plan | None, list[Problem]]:
    place = ("plans", name)
    if not isinstance(value, dict):
        return None, [document.problem(place, f"must be a mapping; is {described(value)}")]
    if "name" in value:
        return None, [
            document.problem((*place, "name"), "unknown key; a plan's name is its key under plans:")
        ]
    plan, broken = validated(Plan, {**value, "name": name}, hidden=_HIDDEN)
    if plan is not None:
        broken += plan_problems(plan)
    return (None if broken else plan), [document.problem((*place, *path), text) for path, text in broken]
