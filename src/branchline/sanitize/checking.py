"""A policy against a live schema: everything that has no decision, and every decision that has nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from branchline.domain.composition import within
from branchline.domain.policy import Address, ColumnRule, Policy, PolicyProblem, TableRule
from branchline.domain.schema import Column, Schema, Table
from branchline.errors import Refused
from branchline.ports import Snapshot
from branchline.sanitize import pools
from branchline.sanitize.guessing import column_yaml, columns_yaml, table_yaml
from branchline.sanitize.masks import APART, DOMAIN, TOKEN, Mask, catalogue
from branchline.sanitize.subset import subset_problems
from branchline.sanitize.table import identity_of, value_derived_usernames

MOST_PERCENT, MOST_DAYS = 100, 36_500
LONGEST_ADDRESS = 80
"""Characters of a masked e-mail address, about; longer columns hold all of it."""
_Problem = tuple[tuple[str, ...], str]
"""A path within a table's rule, and what is wrong there."""


def check(policy: Policy, schema: Schema, *, file: str = "sanitize.yaml") -> list[PolicyProblem]:
    """All that keeps this policy from being used on this schema, by line; empty when nothing does."""
    problems = [policy.problem(file, (), text) for text in schema.problems]
    problems += check_masks(policy, file=file)
    for name, table in schema.tables.items():
        rule, at = policy.tables.get(name), ("tables", name)
        if rule is None:
            what = "this table has no decision; add under `tables:`"
            problems.append(policy.problem(file, at, what, table_yaml(table)))
            continue
        undecided = _undecided(table, rule)
        if undecided:
            problems.append(_without_decision(policy, file, table, undecided))
        problems += [policy.problem(file, (*at, *key), text) for key, text in _table(table, rule, policy)]
    for name in _owned(policy, ("tables",), policy.tables.keys() - schema.tables.keys()):
        what = f"there is no such table{_near(name, schema.tables)}"
        problems.append(policy.problem(file, ("tables", name), what))
    if not problems:
        wrong = (*_references(policy, schema), *_letters(policy, schema), *subset_problems(policy, schema))
        problems += [policy.problem(file, at, what) for at, what in wrong]
    return sorted(problems, key=lambda problem: (problem.line, problem.path))


def fitting(policy: Policy, source: Snapshot) -> Policy:
    """The policy as far as it is about what this database has. Raises Refused with all problems when it does not fit."""
    schema = source.schema()
    refuse(check(policy, schema) or check_conditions(policy, source))
    return within(policy, schema)


def check_conditions(policy: Policy, source: Snapshot, *, file: str = "sanitize.yaml") -> list[PolicyProblem]:
    """SQL conditions of the policy that the database does not understand."""
    problems = []
    for name, rule in within(policy, source.schema()).tables.items():
        conditions = {
            ("where",): rule.where,
            ("keep_rows", "where"): rule.keep_rows.where if rule.keep_rows else "",
            ("subset", "where"): rule.subset.where if rule.subset else "",
        }
        for key, condition in conditions.items():
            reason = source.probe(name, condition) if condition else ""
            if reason:
                what = f"not a usable condition: {reason}"
                problems.append(policy.problem(file, ("tables", name, *key), what))
    return problems


def check_masks(policy: Policy, *, file: str = "sanitize.yaml") -> list[PolicyProblem]:
    """Masks and parameters that do not exist, without looking at a schema."""
    problems = []
    if not pools.knows(policy.locale):
        problems.append(policy.problem(file, ("locale",), f"Faker has no locale {policy.locale!r}"))
    for table, rule in policy.tables.items():
        for column, column_rule in rule.columns.items():
            at = ("tables", table, "columns", column)
            problems += [policy.problem(file, at, text) for text in mask_problems(column_rule)]
    return problems


def mask_problems(rule: ColumnRule) -> Iterator[str]:
    """What is wrong with a rule by itself."""
    masks = catalogue()
    mask = masks.get(rule.mask)
    if mask is None:
        if rule.mask:
            yield f"there is no mask {rule.mask!r}{_near(rule.mask, masks)}; masks: {', '.join(masks)}"
        return
    for name in rule.parameters.keys() - mask.parameters.keys():
        yield f"{mask.name} has no parameter {name!r}; it has: {', '.join(mask.parameters) or 'none'}"
    for name in sorted(mask.needs - rule.parameters.keys()):
        yield f"{mask.name} needs `{name}`: {mask.parameters[name]}"
    for name, value in rule.parameters.items():
        if name in mask.parameters:
            yield from _parameter(mask, name, value)


def _parameter(mask: Mask, name: str, value: object) -> Iterator[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name == "percent" and not (number and 0 < value <= MOST_PERCENT):  # type: ignore[operator]
        yield f"{mask.name}.percent is {value!r}; allowed: a number above 0, up to 100"
    if name == "days" and not (isinstance(value, int) and number and 0 < value <= MOST_DAYS):
        yield f"{mask.name}.days is {value!r}; allowed: a whole number from 1 to 36500"
    if name == "unit" and value not in ("seconds", "milliseconds"):
        yield f"{mask.name}.unit is {value!r}; allowed: seconds, milliseconds"
    if name == "identity" and not isinstance(value, str):
        yield f"{mask.name}.identity is {value!r}; allowed: a column's name, or none"
    if name == "value" and not (isinstance(value, str) or (isinstance(value, int) and number)):
        yield f"{mask.name}.value is {value!r}; allowed: text or a whole number"
    if name == "paths":
        yield from _paths(value)


def _paths(value: object) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield "json.paths is not a mapping from a path such as $.street to a mask"
        return
    for path, entry in value.items():
        if not isinstance(path, str) or not path.startswith("$"):
            yield f"json.paths: {path!r} is no path such as $.street, $.items[*].name or $.meta.**"
        rule = ColumnRule(entry) if isinstance(entry, str) else None
        if isinstance(entry, dict) and isinstance(entry.get("mask"), str):
            rule = ColumnRule(
                entry["mask"], {key: item for key, item in entry.items() if key not in ("mask", "reason")}
            )
        if rule is None or rule.mask == "json":
            yield f"json.paths: {path!r} has no mask"
        else:
            yield from (f"json.paths {path}: {text}" for text in mask_problems(rule))


def _owned(policy: Policy, at: Address, names: Iterable[str]) -> list[str]:
    """Those that the project itself speaks of: a pack's line may be about nothing."""
    return [name for name in names if (*at, name) not in policy.packed]


def _undecided(table: Table, rule: TableRule) -> list[Column]:
    if table.module or table.unsupported or rule.action != "copy":
        return []
    return [column for column in table.stored if column.name not in rule.columns]


def _without_decision(policy: Policy, file: str, table: Table, columns: list[Column]) -> PolicyProblem:
    """The project decides, also where a pack decides about the table's other columns."""
    names = ", ".join(column.name for column in columns)
    at: Address = ("tables", table.name)
    if at not in policy.packed:
        what = f"no decision about {names}; add under `columns:` (drafts, to be read by a person)"
        return policy.problem(file, at, what, "".join(column_yaml(column, 6) for column in columns))
    what = f"no decision about {names} in this file or in a pack; add under `tables:` (drafts, to be read by a person)"
    return PolicyProblem(
        file, policy.place(file, ("tables",)).line, at, what, columns_yaml(table.name, columns)
    )


def _table(table: Table, rule: TableRule, policy: Policy) -> Iterator[_Problem]:
    if table.module:
        yield from _virtual(table, rule)
    elif rule.action == "rebuild":
        yield (), "only a full-text table with external content can be rebuilt"
    elif rule.action == "copy":
        yield from _copied(table, rule, policy)


def _virtual(table: Table, rule: TableRule) -> Iterator[_Problem]:
    ways = ("rebuild", "truncate") if "external content" in table.module else ("truncate",)
    if rule.action not in ways:
        yield (), f"is a virtual table ({table.module}), which can be: {' or '.join(ways)}"


def _copied(table: Table, rule: TableRule, policy: Policy) -> Iterator[_Problem]:
    if table.unsupported:
        yield (), f"its rows cannot be copied: {table.unsupported}; it can be: truncate"
    there = {column.name: column for column in table.columns}
    for name in there:
        if name.startswith("^") and name.endswith("$"):
            yield (
                ("columns", name),
                "a column of that name cannot be copied: Polars takes it for a pattern of names",
            )
    for name in _owned(policy, ("tables", table.name, "columns"), rule.columns.keys() - there.keys()):
        yield ("columns", name), f"there is no such column{_near(name, there)}"
    for name, column_rule in rule.columns.items():
        if name in there and column_rule.mask in catalogue():
            yield from ((("columns", name), text) for text in _column(table, there[name], column_rule, rule))


def _column(table: Table, column: Column, rule: ColumnRule, table_rule: TableRule) -> Iterator[str]:
    mask = catalogue()[rule.mask]
    if column.generated and mask.name != "keep":
        yield "is generated from other columns: mask those; here only keep (or nothing)"
        return
    if column.kind not in mask.fits:
        yield f"is declared {column.declared or 'without a type'}, which {mask.name} does not fit"
    if mask.name == "null" and (not column.nullable or column.key):
        yield "must not be NULL; use another mask"
    if column.unique and not mask.unique:
        yield f"takes part in a unique index, where {mask.name} would make rows meet"
    needed = (APART if column.unique else 0) + (len(DOMAIN) + 2 if mask.name == "email" else 0)
    if mask.draws and column.kind in ("text", "any") and column.length is not None and column.length < needed:
        yield f"holds at most {column.length} characters, of which {mask.name} needs {needed} here"
    identity = rule.parameters.get("identity", "none")
    if isinstance(identity, str) and identity != "none":
        pointed = table_rule.columns.get(identity)
        if table.column(identity) is None or pointed is None or pointed.mask not in ("email", "username"):
            yield f"identity: {identity!r} is not a column of this table with the mask email or username"


def _references(policy: Policy, schema: Schema) -> Iterator[tuple[tuple[str, ...], str]]:
    """Foreign keys must be masked alike on both sides, or joins break."""
    by_value = value_derived_usernames(policy)
    for name, table in schema.tables.items():
        for key in table.foreign_keys:
            other = next((other for other in schema.tables if other.lower() == key.table.lower()), None)
            rule, referred = policy.tables[name], policy.tables.get(other or "")
            if other is None or referred is None or rule.action != "copy" or referred.action != "copy":
                continue
            for here, there in zip(key.columns, key.referred, strict=False):
                mine, theirs = (
                    r.columns.get(c, ColumnRule("keep")).mask for r, c in ((rule, here), (referred, there))
                )
                if mine not in (theirs, "null"):
                    what = f"is {mine} but refers to {key.table}.{there}, which is {theirs}: use one mask"
                    yield ("tables", name, "columns", here), what
                elif mine != "null" and (
                    by := _drawn_by(rule, here, by_value) or _drawn_by(referred, there, by_value)
                ):
                    what = f"refers to {key.table}.{there}, and {mine} draws by another column of the row ({by}): give both `identity: none`"
                    yield ("tables", name, "columns", here), what
                elif _room(table, here, mine) != _room(schema.tables[other], there, mine):
                    what = (
                        f"refers to {key.table}.{there}, which has another size: {mine} draws as much as a column holds, and they"
                        " would not meet; keep both, or give both one type"
                    )
                    yield ("tables", name, "columns", here), what


def _drawn_by(rule: TableRule, name: str, by_value: bool) -> str:
    """Another column of the row that a mask draws by; empty where the value itself decides."""
    chosen = rule.columns.get(name)
    by = identity_of(rule, name, chosen, by_value=by_value) if chosen else ""
    return by if by != name else ""


def _letters(policy: Policy, schema: Schema) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is no number where one is wanted, or too long, in engines that keep to their types."""
    for name, table in schema.tables.items() if schema.strict else ():
        for column in table.stored:
            rule = policy.tables[name].columns.get(column.name)
            if rule and (what := _unfitting(rule, column)):
                yield ("tables", name, "columns", column.name), what


def _unfitting(rule: ColumnRule, column: Column) -> str:
    if rule.mask == "token" and column.kind == "number":
        return f"is declared {column.declared}, where token, which gives text there, does not fit: use number_noise or constant"
    if rule.mask != "constant":
        return ""
    value = str(rule.parameters["value"])
    if column.kind in ("integer", "number") and not re.fullmatch(r"[+-]?\d+(\.\d+)?", value):
        return f"is declared {column.declared}, where {value!r} does not fit"
    if column.length is not None and len(value) > column.length and column.kind == "text":
        return f"holds at most {column.length} characters, and {value!r} has {len(value)}"
    return ""


def _room(table: Table, name: str, mask: str) -> int | None:
    """What limits a mask that draws as much as the column holds."""
    column = table.column(name)
    if column is None or mask not in ("token", "phone", "email"):
        return None
    if mask == "email":
        return min(column.length or LONGEST_ADDRESS, LONGEST_ADDRESS)
    if column.kind == "integer":
        return column.highest
    return min(column.length or TOKEN, TOKEN) if mask == "token" else None


def refuse(problems: list[PolicyProblem]) -> None:
    """Raises Refused with all problems, when there are any."""
    if problems:
        text = "\n".join(f"  {problem}" for problem in problems)
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise Refused(
            501, f"The policy does not fit the database ({count}):\n{text}", "branchline sanitize check"
        )


def _near(name: str, known: object) -> str:
    close = difflib.get_close_matches(name, list(known), 1)  # type: ignore[call-overload]
    return f" (did you mean {close[0]}?)" if close else ""
