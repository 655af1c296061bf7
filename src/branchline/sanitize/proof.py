"""Proving a finished copy: rows, references, and that no original came along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from branchline.domain.policy import Policy, TableRule
from branchline.domain.schema import Schema
from branchline.errors import Failed
from branchline.ports import Loader, Snapshot
from branchline.sanitize import scan
from branchline.sanitize.report import Leak, Progress
from branchline.sanitize.scan import Hits, Originals

_MAY_CARRY = ("keep", "redact", "json", "text", "number_noise", "date_shift")


@dataclass(frozen=True, slots=True)
class Findings:
    """What the search of a copy gave."""

    leaks: tuple[Leak, ...] = ()
    coincidences: int = 0


def check_rows(target: Loader, expected: Mapping[str, int]) -> None:
    """To be called before disarming, which may add and remove rows. Raises Failed when a table has not all its rows."""
    with target.result() as copy:
        found = {table: copy.count(table) for table in expected}
    wrong = [
        f"{table} has {found[table]:,} rows where {rows:,} were copied"
        for table, rows in expected.items()
        if found[table] != rows
    ]
    _refuse_unsound(wrong)


def prove(
    source: Snapshot,
    target: Loader,
    policy: Policy,
    schema: Schema,
    originals: Originals,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Findings:
    """Raises Failed, naming tables and columns but no value, when the copy is not what it should be."""
    _refuse_unsound(target.verify())
    with target.result() as copy:
        findings = find_leaks(source, copy, policy, schema, originals, progress)
    if findings.leaks:
        places = ", ".join(map(str, findings.leaks))
        what = f"Originals of masked columns were found in the copy: {places}."
        raise Failed(
            505, what, "Mask those columns in sanitize.yaml (text, redact or null); nothing was switched."
        )
    return findings


def _refuse_unsound(wrong: Sequence[str]) -> None:
    if wrong:
        raise Failed(
            506, f"The copy is not sound: {'; '.join(wrong)}.", "Nothing was switched; correct what it names."
        )


def find_leaks(
    source: Snapshot,
    copy: Snapshot,
    policy: Policy,
    schema: Schema,
    originals: Originals,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Findings:
    """Searches every text of the copy, then confirms against the source's own masked columns."""
    hits = dict(_hits(copy, policy, schema, originals, progress))
    suspects = pl.concat([hit.frame().select("form") for hit in hits.values()] or [_no_forms()]).unique()
    if suspects.is_empty():
        return Findings()
    known = confirmed(source, policy, schema, suspects["form"])
    leaks, coincidences = [], 0
    for (table, column), hit in hits.items():
        rule = policy.tables[table].columns.get(column)
        found = hit.frame().join(known, on="form", how="inner")
        drawn = rule is not None and rule.mask not in _MAY_CARRY
        certain = (
            found.filter(pl.col("points"))
            if drawn
            else found.filter(pl.col("points") | (pl.col("times") < scan.COMMON))
        )
        rows = certain["row"].n_unique()
        coincidences += found.join(certain, on="row", how="anti")["row"].n_unique()
        if rows:
            leaks.append(Leak(table, column, rows))
    return Findings(tuple(leaks), coincidences)


def _hits(
    copy: Snapshot, policy: Policy, schema: Schema, originals: Originals, progress: Callable[[Progress], None]
) -> Iterable[tuple[tuple[str, str], Hits]]:
    for name, table in schema.tables.items():
        rule = policy.tables[name]
        if rule.action != "copy":
            continue
        inside = {
            column.name: _may_carry(rule, column.name)
            for column in table.columns
            if column.kind in ("text", "any")
        }
        hits = {column: Hits() for column in inside}
        done, total = 0, copy.count(name) if inside else 0
        for block in copy.blocks(name, list(inside)) if inside else ():
            for column, hit in hits.items():
                scan.search(block.frame[column], originals, hit, inside=inside[column])
            done += block.frame.height
            progress(Progress("prove", name, done, total))
        yield from (((name, column), hit) for column, hit in hits.items())


def _may_carry(rule: TableRule, column: str) -> bool:
    chosen = rule.columns.get(column)
    return chosen is None or chosen.mask in _MAY_CARRY


def confirmed(source: Snapshot, policy: Policy, schema: Schema, suspects: pl.Series) -> pl.DataFrame:
    """Which of these forms the source's masked columns hold: `form`, `times` (rows), and whether it `points` by itself."""
    counted: list[pl.DataFrame] = []
    for name, rule in policy.tables.items():
        if rule.action != "copy" or schema.tables[name].module:
            continue
        masked = [c for c, r in rule.columns.items() if r.mask != "keep" and not _generated(schema, name, c)]
        for block in source.blocks(name, masked, where=rule.where) if masked else ():
            for column in masked:
                values = block.frame[column]
                if values.dtype == pl.String or values.dtype.is_integer():
                    counted.append(_counted(values.cast(pl.String), suspects))
        counted = [_summed(counted)] if counted else []
    known = counted[0] if counted else pl.DataFrame(schema={"form": pl.String, "times": pl.UInt32})
    points = pl.col("form").str.contains("@", literal=True) | pl.col("form").str.contains(r"^\d{7,}$")
    return known.with_columns(points.alias("points"))


def _counted(values: pl.Series, suspects: pl.Series) -> pl.DataFrame:
    counts = values.drop_nulls().alias("v").value_counts(name="n")
    pieces = []
    for form in (scan.normal(counts["v"]), scan.telephone(counts["v"])):
        pieces.append(
            pl.DataFrame({"form": form, "times": counts["n"]}).filter(
                pl.col("form").is_in(suspects.implode())
            )
        )
    return pl.concat(pieces)


def _summed(counted: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(counted).group_by("form").agg(pl.col("times").sum().cast(pl.UInt32))


def _generated(schema: Schema, table: str, column: str) -> bool:
    found = schema.tables[table].column(column)
    return found is not None and found.generated


def _no_forms() -> pl.DataFrame:
    return pl.DataFrame(schema={"form": pl.String})
