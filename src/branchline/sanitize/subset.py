"""A smaller copy whose references are whole: a row is copied when its table's own rule takes it and everything it refers to is copied.

`narrowed` turns `subset:` into one condition per table, the largest set of rows for which that holds; copying and proving know
only conditions. A row is left out by a chain of foreign keys that ends in a row that its own table's rule leaves out, and
each chain is one NOT EXISTS. Only where foreign keys lead round in a circle can chains be of any length. There the rows that
are one step from being left out are asked for with what refers to them, what follows is worked out here, and the chain
ends in a list of rows by their digests. Derived tables rename what they pass on, so that no name of one table hides another's.
"""

# ruff: noqa: S608 - names are quoted by the snapshot, conditions were probed

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import polars as pl

from branchline.domain.policy import Address, Policy, TableRule
from branchline.domain.references import Reference, References, circles, references
from branchline.domain.schema import Schema, Table
from branchline.errors import Refused
from branchline.ports import Snapshot

DIGITS = 15
MOST_LISTED = 500_000
"""Rows left out because of a circle, in one table: what servers take in one statement has an end (16 MiB on MariaDB)."""

_PAIR = ("child", "parent", "out")
_NOBODY = pl.DataFrame(schema={"child": pl.Int64, "parent": pl.Int64, "out": pl.Boolean})
_Chain = tuple[tuple[Reference, ...], str]
"""Foreign keys from table to table, and a condition on the last table's rows; empty: any row of it."""


def narrowed(policy: Policy, source: Snapshot) -> Policy:
    """The policy with each table's `where` as narrow as its subsets make it; the same policy where it has none.

    Raises Refused when too many rows are left out because of a circle.
    """
    if not any(rule.subset for rule in policy.tables.values()):
        return policy
    narrowing = _Narrowing(policy, source)
    tables = {name: replace(rule, where=narrowing.condition(name)) for name, rule in policy.tables.items()}
    return replace(policy, tables={**policy.tables, **{n: tables[n] for n in narrowing.copied}})


def subset_problems(policy: Policy, schema: Schema) -> Iterator[tuple[Address, str]]:
    """Subsets that cannot be told, and tables of which one would leave nothing."""
    subsets = {name: rule.subset for name, rule in policy.tables.items() if rule.subset}
    for name, subset in subsets.items():
        table = schema.tables.get(name)
        at = ("tables", name, "subset")
        if table is None:
            continue
        if subset.by and subset.by not in [column.name for column in table.columns]:
            yield (*at, "by"), f"there is no column {subset.by!r}"
        if not subset.where and not _key(table):
            yield at, "needs a primary key, which this table has not; use `where`"
    if subsets:
        yield from _emptied(policy, schema)


def _emptied(policy: Policy, schema: Schema) -> Iterator[tuple[Address, str]]:
    for name, found in _references(policy, schema).items():
        for each in found:
            rule = policy.tables.get(each.other)
            required = not any(c.nullable for c in schema.tables[name].columns if c.name in each.columns)
            if required and rule is not None and rule.action == "truncate":
                what = (
                    f"each of its rows refers to {each.other} ({', '.join(each.columns)}), which is truncated, so that with"
                    " a subset none is copied: truncate it too"
                )
                yield ("tables", name), what


def _references(policy: Policy, schema: Schema) -> References:
    """Without those that the copy has no more: a column masked by `null`, unless rows may pass unmasked."""

    def gone(rule: TableRule, reference: Reference) -> bool:
        masks = [rule.columns[column].mask for column in reference.columns if column in rule.columns]
        return "null" in masks and rule.keep_rows is None

    copied = [name for name, rule in policy.tables.items() if rule.action == "copy" and name in schema.tables]
    found = references(schema, copied)
    return {
        name: tuple(each for each in found[name] if not gone(policy.tables[name], each)) for name in copied
    }


class _Narrowing:
    def __init__(self, policy: Policy, source: Snapshot) -> None:
        self.policy, self.source = policy, source
        self.schema = source.schema()
        self.references = _references(policy, self.schema)
        self.circles = circles(self.references)
        self._chains: dict[str, list[_Chain]] = {}
        self._listed: dict[frozenset[str], Mapping[str, str]] = {}

    @property
    def copied(self) -> Iterable[str]:
        return self.references

    def condition(self, table: str) -> str:
        """Of the rows that are copied; empty when all are."""
        if table not in self.references:
            return ""
        return self._but(self.own[table], self._violations(table))

    @cached_property
    def own(self) -> Mapping[str, str]:
        """What each table's own rule says of its rows; empty when it takes all."""
        return {name: self._own(name, self.policy.tables[name]) for name in self.references}

    def _own(self, name: str, rule: TableRule) -> str:
        subset, chosen = rule.subset, ""
        if subset is not None:
            chosen = subset.where
            if subset.newest:
                chosen = self.source.newest(name, subset.by, subset.newest, rule.where)
            elif subset.percent:
                chosen = self._share(self.schema.tables[name], subset.percent)
        return " AND ".join(f"({each}\n)" for each in (rule.where, chosen) if each)

    def _share(self, table: Table, percent: float) -> str:
        """By a digest of the primary key: the same rows in each sync, other ones in each table."""
        below = round(percent / 100 * 16**DIGITS)
        if below >= 16**DIGITS:
            return ""
        digest = self.source.digest([_salt(table.name), *map(self.source.quoted, _key(table))])
        return f"{digest} < '{below:0{DIGITS}x}'"

    def _violations(self, table: str) -> list[_Chain]:
        """All chains by which a row of a table is left out, beside its own rule."""
        if table not in self._chains:
            circle = self.circles.get(table, frozenset())
            listed = self._left_out(circle)
            around = [
                ((each,), listed[each.other])
                for each in self.references.get(table, ())
                if each.other in circle and each.other in listed
            ]
            self._chains[table] = [*self._outward(table), *self._next(table), *around]
        return self._chains[table]

    def _outward(self, table: str) -> list[_Chain]:
        """By the foreign keys that leave its circle."""
        circle = self.circles.get(table, frozenset())
        return [
            chain
            for each in self.references.get(table, ())
            if each.other not in circle
            for chain in self._through(each, self._violations(each.other))
        ]

    def _next(self, table: str) -> list[_Chain]:
        """By its neighbours in its circle, as far as that has nothing to do with the circle."""
        circle = self.circles.get(table, frozenset())
        return [
            chain
            for each in self.references.get(table, ())
            if each.other in circle
            for chain in self._through(each, self._outward(each.other))
        ]

    def _through(self, reference: Reference, beyond: Sequence[_Chain]) -> Iterator[_Chain]:
        rule = self.policy.tables.get(reference.other)
        if rule is None or rule.action != "copy":
            yield (reference,), ""
            return
        if own := self.own[reference.other]:
            yield (reference,), f"({own}) IS NOT TRUE"
        yield from (((reference, *chain), end) for chain, end in beyond)

    def _left_out(self, circle: frozenset[str]) -> Mapping[str, str]:
        """Rows of a circle's tables that others refer to, and that are left out for what they refer to."""
        if circle not in self._listed:
            listed = {}
            if any(self._next(table) for table in circle):
                listed = _listed(self._followed(circle))
            self._listed[circle] = {
                table: f"{self._identity(table)} IN ({', '.join(digests)})"
                for table, digests in listed.items()
            }
        return self._listed[circle]

    def _followed(self, circle: frozenset[str]) -> dict[str, pl.DataFrame]:
        """By the table that is referred to: who refers to whom of its rows, and whether that one is left out by a neighbour."""
        found: dict[str, pl.DataFrame] = {}
        for table in sorted(circle):
            for each in self.references[table]:
                if each.other in circle:
                    blocks = [_numbers(block) for block in self.source.texts(self._pairs(each), _PAIR)]
                    known = [found[each.other]] if each.other in found else []
                    found[each.other] = pl.concat([*known, *blocks, _NOBODY])
        return found

    def _pairs(self, reference: Reference) -> str:
        table, other = reference.table, reference.other
        here, there = (
            [self.source.quoted(f"branchline {end} {at}") for at, _ in enumerate(reference.columns)]
            for end in ("c", "p")
        )
        child, parent, out = (self.source.quoted(f"branchline {name}") for name in ("child", "parent", "out"))
        rest = self._but(self.own[table], [*self._outward(table), *self._next(table)])
        ends = " OR ".join(self._exists(chain, end) for chain, end in self._next(other)) or "1 = 0"
        referring = self._derived(table, reference.columns, here, f"{self._identity(table)} AS {child}", rest)
        referred = self._derived(
            other,
            reference.referred,
            there,
            f"{self._identity(other)} AS {parent}, CASE WHEN {ends} THEN 1 ELSE 0 END AS {out}",
        )
        met = " AND ".join(f"{theirs} = {mine}" for theirs, mine in zip(there, here, strict=True))
        return f"SELECT {child}, {parent}, {out} FROM {referring} AS r JOIN {referred} AS p ON {met}"

    def _identity(self, table: str) -> str:
        """What tells a row apart that is referred to from within the circle."""
        circle = self.circles[table]
        columns = {
            c for t in circle for each in self.references[t] if each.other == table for c in each.referred
        }
        return self.source.digest([_salt(table), *map(self.source.quoted, sorted(columns))])

    def _but(self, own: str, chains: Sequence[_Chain]) -> str:
        excluded = [f"NOT {self._exists(chain, end)}" for chain, end in dict.fromkeys(chains)]
        return " AND ".join([own, *excluded] if own else excluded)

    def _exists(
        self, chain: Sequence[Reference], end: str, holding: Sequence[str] | None = None, level: int = 1
    ) -> str:
        """SQL: a row refers, by the chain, to one that meets a condition. `holding`: what holds the first key's columns."""
        first, *rest = chain
        quoted = self.source.quoted
        holding = holding or [quoted(column) for column in first.columns]
        onward = rest[0].columns if rest else ()
        names = [quoted(f"branchline {level} {at}") for at in range(len(first.referred) + len(onward))]
        met = [f"{there} = {here}" for there, here in zip(names, holding, strict=False)]
        if rest:
            met.append(self._exists(rest, end, names[len(first.referred) :], level + 1))
        rows = self._derived(first.other, (*first.referred, *onward), names, where="" if rest else end)
        return f"EXISTS (SELECT 1 FROM {rows} AS {quoted(f'branchline {level}')} WHERE {' AND '.join(met)})"

    def _derived(
        self, table: str, columns: Sequence[str], names: Sequence[str], more: str = "", where: str = ""
    ) -> str:
        chosen = [
            f"{self.source.quoted(column)} AS {name}" for column, name in zip(columns, names, strict=True)
        ]
        listed = ", ".join([*chosen, *([more] if more else [])])
        return f"(SELECT {listed} FROM {self.source.rows(table)}{f' WHERE {where}' if where else ''})"


def _key(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.key]


def _salt(table: str) -> str:
    return f"'{hashlib.sha256(table.encode()).hexdigest()[:DIGITS]}'"


def _numbers(block: pl.DataFrame) -> pl.DataFrame:
    digests = pl.col("child", "parent").str.to_integer(base=16)
    return block.select(digests, pl.col("out") == "1")


def _listed(pairs: Mapping[str, pl.DataFrame]) -> dict[str, list[str]]:
    """Of each table's rows that are referred to, those that are left out, as SQL texts."""
    every = pl.concat(list(pairs.values()))
    seeds = every.filter(pl.col("out"))["parent"].unique()
    out = followed(every["child"], every["parent"], seeds.to_list())
    found = {}
    for table, each in pairs.items():
        rows = [f"'{row:0{DIGITS}x}'" for row in each["parent"].unique().sort() if row in out]
        if len(rows) > MOST_LISTED:
            what = f"The subset leaves {len(rows):,} rows of {table} out because its foreign keys lead round in a circle; at most {MOST_LISTED:,} can be."
            raise Refused(
                538,
                what,
                "Give another table of the circle a narrower `subset:` or `where:` in sanitize.yaml.",
            )
        if rows:
            found[table] = rows
    return found


def followed(children: pl.Series, parents: pl.Series, seeds: Iterable[int]) -> set[int]:
    """The seeds, and everything that refers to one of them, however far away. `children` and `parents`: who refers to whom."""
    pairs = pl.DataFrame({"child": children, "parent": parents}).sort("parent")
    referred, referring = (_compact(pairs[name]) for name in ("parent", "child"))
    out = set(seeds)
    waiting = list(out)
    while waiting:
        row = waiting.pop()
        at = bisect_left(referred, row)
        while at < len(referred) and referred[at] == row:
            child = referring[at]
            if child not in out:
                out.add(child)
                waiting.append(child)
            at += 1
    return out


def _compact(values: pl.Series) -> array[int]:
    numbers = array("q")
    for start in range(0, values.len(), 65_536):
        numbers.extend(values.slice(start, 65_536).to_list())
    return numbers
