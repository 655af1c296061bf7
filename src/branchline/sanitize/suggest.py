"""A first policy from a live schema, and a look at what a policy makes of real rows. Neither shows an original."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import polars as pl

from branchline.domain.policy import Policy
from branchline.domain.schema import Schema, Table
from branchline.errors import BadInput
from branchline.ports import Snapshot
from branchline.sanitize.checking import fitting
from branchline.sanitize.guessing import columns_yaml, table_yaml, yaml_key
from branchline.sanitize.subset import narrowed
from branchline.sanitize.table import masker_for, value_derived_usernames

SAMPLED = 500
Samples = Mapping[str, Mapping[str, Sequence[str]]]


def suggest(schema: Schema, samples: Samples, mounts: Sequence[str] = (), known: Policy | None = None) -> str:
    """YAML for `.branchline/sanitize.yaml`: a guess for every column, each with why. No sampled value is in it.

    What `known` decides, the packs that the draft extends, is left out.
    """
    known = known or Policy()
    tables = "".join(_drafted(table, samples.get(name, {}), known) for name, table in schema.tables.items())
    lines = [
        "# A draft: every line is a guess from names, types and sampled values. Read all of it before the first sync;\n",
        "# what is kept reaches everybody who can see Staging. A column or table without a line stops the sync.\n",
        f"extends: [{', '.join(known.extends)}]\n" if known.extends else "",
        "locale: en_US\n",
        f"tables:\n{tables}" if tables else "tables: {}\n",
    ]
    undecided = [mount for mount in mounts if mount not in known.files]
    if undecided:
        rules = "".join(
            f'  {yaml_key(mount)}:\n    "**": placeholder  # nothing is known about it\n'
            for mount in undecided
        )
        lines.append(f"files:\n{rules}")
    lines.append("disarm:\n  sql: []  # queues, schedules, webhooks, base URLs\n  assert: []\n")
    return "".join(lines)


def _drafted(table: Table, samples: Mapping[str, Sequence[str]], known: Policy) -> str:
    rule = known.tables.get(table.name)
    if rule is None:
        return table_yaml(table, samples)
    missing = tuple(column for column in table.stored if column.name not in rule.columns)
    return columns_yaml(table.name, missing, samples) if rule.action == "copy" and missing else ""


def sample(source: Snapshot, rows: int = SAMPLED) -> Samples:
    """The first texts of each column, to guess by; for `suggest` only."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, table in source.schema().tables.items():
        columns = [column.name for column in table.stored if column.kind in ("text", "any", "other")]
        if table.module or table.unsupported or not columns:
            continue
        block = next(iter(source.blocks(name, columns)), None)
        if block is not None:
            head = block.frame.head(rows)
            found[name] = {c: head[c].drop_nulls().to_list() for c in columns if head[c].dtype == pl.String}
    return found


def preview(source: Snapshot, policy: Policy, table: str, rows: int = 5) -> list[dict[str, object]]:
    """The first rows of a table as a sync would write them, under a key of their own. Raises what a sync's check raises."""
    schema = source.schema()
    policy = narrowed(fitting(policy, source), source)
    if table not in schema.tables:
        raise BadInput(518, f"There is no table {table!r}.", f"Tables: {', '.join(schema.tables)}.")
    rule = policy.tables[table]
    columns = [column.name for column in schema.tables[table].stored]
    if rule.action != "copy" or not columns:
        return []
    by_value = value_derived_usernames(policy)
    masker = masker_for(
        schema.tables[table], rule, policy.locale, secrets.token_bytes(32), None, by_value=by_value
    )
    keep = rule.keep_rows.where if rule.keep_rows else ""
    block = next(iter(source.blocks(table, columns, where=rule.where, keep=keep)), None)
    if block is None:
        return []
    frame = block.frame.with_columns(masker(block)) if masker.columns else block.frame
    return [{name: _shown(value) for name, value in row.items()} for row in frame.head(rows).to_dicts()]


def _shown(value: object) -> object:
    return f"({len(value)} bytes)" if isinstance(value, bytes) else value
