"""A project's sanitizing policy laid over the packs that it extends, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from branchline.domain.policy import Address, FileRule, Place, Policy, TableRule
from branchline.domain.schema import Schema

Files = Mapping[str, tuple[FileRule, ...]]
"""Rules by mount."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Decisions about a well-known application's tables and files; `file` is what messages call it."""

    file: str
    policy: Policy


def compose(own: Policy, packs: Sequence[Pack]) -> Policy:
    """The policy with everything that its packs decide and it does not: its own lines win, a later pack over an earlier.

    A pack's line may be about a table, column, mount or file that this database or application lacks.
    """
    tables: Mapping[str, TableRule] = {}
    packed: dict[Address, Place] = {}
    for pack in packs:
        tables = _over(tables, pack.policy.tables)
        packed |= {at: pack.policy.place(pack.file, at) for at in _decided(pack.policy)}
    for at in _decided(own):
        packed.pop(at, None)
    layers = [*(pack.policy for pack in packs), own]
    return replace(
        own,
        tables=_over(tables, own.tables),
        files=_files([*(_lenient(pack.policy.files) for pack in packs), own.files]),
        disarm=tuple(statement for layer in layers for statement in layer.disarm),
        assertions=tuple(query for layer in layers for query in layer.assertions),
        packed=packed,
    )


def within(policy: Policy, schema: Schema) -> Policy:
    """Without what is about tables and columns that are not there, as a pack's lines may be."""
    tables = {
        name: replace(rule, columns={c: chosen for c, chosen in rule.columns.items() if table.column(c)})
        for name, rule in policy.tables.items()
        if (table := schema.tables.get(name))
    }
    return replace(policy, tables=tables)


def _over(below: Mapping[str, TableRule], above: Mapping[str, TableRule]) -> Mapping[str, TableRule]:
    return {**below, **{name: _rule(below.get(name), rule) for name, rule in above.items()}}


def _rule(below: TableRule | None, above: TableRule) -> TableRule:
    if below is None or below.action != "copy" or above.action != "copy":
        return above
    return TableRule(
        columns={**below.columns, **above.columns},
        where=above.where or below.where,
        keep_rows=above.keep_rows or below.keep_rows,
        subset=above.subset or below.subset,
    )


def _lenient(files: Files) -> Files:
    return {mount: tuple(replace(rule, packed=True) for rule in rules) for mount, rules in files.items()}


def _files(layers: Sequence[Files]) -> Files:
    """The first glob that matches decides, so a later layer's come first."""
    files: dict[str, tuple[FileRule, ...]] = {}
    for layer in layers:
        for mount, rules in layer.items():
            mine = {rule.glob for rule in rules}
            files[mount] = (*rules, *(rule for rule in files.get(mount, ()) if rule.glob not in mine))
    return files


def _decided(policy: Policy) -> Iterator[Address]:
    for name, rule in policy.tables.items():
        at = ("tables", name)
        yield at
        yield from ((*at, "columns", column) for column in rule.columns)
        if rule.where:
            yield (*at, "where")
        if rule.keep_rows:
            yield (*at, "keep_rows", "where")
        if rule.subset:
            yield (*at, "subset")
            yield from ((*at, "subset", key) for key in ("by", "where"))
    for mount, rules in policy.files.items():
        yield ("files", mount)
        yield from (("files", mount, rule.glob) for rule in rules)
