"""Which originals came along into a finished copy, and which values only look like somebody's original.

An invented full name is sooner or later somebody's real one. So a hit of the filter is a leak only when it was carried along:
the source's same row holds it in the same column (rows are found by the key or rowid that the copy preserves), and some
masked column of the source holds it. Where the key is masked itself, the source's same column must hold it in any row.
Addresses with @ are never invented twice: another row's is a leak as well.

Beside that, within each row: a kept column that equals what was masked is a leak however short the value, for names and the
like. Two exceptions, both told as coincidences: a value that the kept column mostly holds beside other originals (somebody
called Berlin lives in Berlin), and whole numbers of fewer than seven digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import polars as pl

from branchline.domain.policy import Policy, TableRule
from branchline.domain.schema import Kind, Schema, Table
from branchline.errors import Failed
from branchline.overlap import ahead, several_ahead
from branchline.ports import Block, Snapshot
from branchline.sanitize import scan
from branchline.sanitize.echoes import MOST_VALUES, NONE_FOUND, SMALL
from branchline.sanitize.masks import DOMAIN, catalogue
from branchline.sanitize.report import Leak, Progress
from branchline.sanitize.scan import Originals
from branchline.sanitize.table import whole_names
from branchline.sanitize.texts import as_text

COMMON = 20
"""A form that does not point at one person by itself is nobody's when as many rows of the source hold it."""

MOST_HITS = 200_000
"""In one column, of which each row is kept. Of more, only forms that were not found yet; so many of these are too many to judge."""
AT_ONCE = 2
"""Columns of blocks that are searched at the same time, while the next block is read."""
_NO_TEXT: tuple[Kind, ...] = ("integer", "number", "time")
_PASSES_PARTS_ON = ("keep", "redact", "json", "path")
_ADDRESS = pl.col("form").str.contains("@", literal=True) & ~pl.col("form").str.ends_with(f"@{DOMAIN}")
_SUSPECT = pl.col("carried") | _ADDRESS
_TELLING = pl.col("points") | (pl.col("times") < COMMON)
_NO_HITS = {"row": pl.Int64, "form": pl.String, "carried": pl.Boolean}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the search of a copy gave. `coincidences`: cells, a few in a million of which only seem to be such."""

    leaks: tuple[Leak, ...] = ()
    coincidences: int = 0

    def __add__(self, other: Findings) -> Findings:
        rows = {(leak.table, leak.column): leak.rows for leak in other.leaks}
        mine = [
            replace(leak, rows=max(leak.rows, rows.pop((leak.table, leak.column), 0))) for leak in self.leaks
        ]
        rest = [Leak(table, column, count) for (table, column), count in rows.items()]
        return Findings((*mine, *rest), self.coincidences + other.coincidences)


@dataclass(frozen=True, slots=True)
class _Searched:
    """One column of the copy. `verbatim`: kept, so that whatever it holds was carried along; `inside`: parts of its texts may
    have passed a mask.
    """

    table: str
    column: str
    verbatim: bool
    inside: bool


@dataclass(slots=True)
class _Hits:
    """Forms found in one column of the copy: `row`, `form`, `carried` (NULL where the row cannot be found again). `echoed`: values of
    which it is also counted how many rows hold them, in `times`. `kept`: rows of all that was found, `beyond`: of what came after the most.
    """

    echoed: pl.Series | None = None
    found: list[pl.DataFrame] = field(default_factory=list)
    kept: int = 0
    beyond: int = 0
    clean: scan.Clean = field(default_factory=scan.Clean)
    times: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NONE_FOUND))

    def frame(self) -> pl.DataFrame:
        return pl.concat(self.found) if self.found else pl.DataFrame(schema=_NO_HITS)

    def undecided(self, found: pl.DataFrame) -> pl.DataFrame:
        """What can still change whether something came along: past the most, no forms of which that is known."""
        if self.kept < MOST_HITS:
            return found
        carried = self.frame().filter("carried")["form"].unique()
        return found.filter(~pl.col("form").is_in(carried.implode()))

    def add(self, where: _Searched, marked: pl.DataFrame) -> None:
        """Raises Failed when there are too many different ones."""
        if self.kept >= MOST_HITS:
            both = ("form", "carried")
            marked = marked.unique(both).join(self.frame(), on=both, how="anti", nulls_equal=True)
            self.beyond += marked.height
        self.found.append(marked)
        self.kept += marked.height
        if self.beyond > MOST_HITS:
            what = f"{where.table}.{where.column} of the copy holds too many texts that may be originals to judge them."
            raise Failed(505, what, "Mask that column in sanitize.yaml; nothing was switched.")


def find_leaks(
    source: Snapshot,
    copy: Snapshot,
    policy: Policy,
    schema: Schema,
    originals: Originals,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Findings:
    """Searches every text of the copy and compares kept columns with what was masked beside them; constant memory."""
    found = _hits(source, copy, policy, schema, originals, progress)
    findings = _searched(source, policy, schema, found)
    times = {(where.table, where.column): hit.times for where, hit in found.items() if hit.echoed is not None}
    for name, rule in policy.tables.items():
        if originals.echoes.cover(name):
            findings += _echoed(source, schema.tables[name], rule, originals, times)
        elif rule.action == "copy" and not schema.tables[name].module:
            findings += _equal_in_row(source, schema.tables[name], rule)
    return findings


def _searched(source: Snapshot, policy: Policy, schema: Schema, found: Mapping[_Searched, _Hits]) -> Findings:
    hits = {where: _settled(source, where, hit.frame()) for where, hit in found.items()}
    suspects = [hit.filter(_SUSPECT)["form"] for hit in hits.values()]
    known = confirmed(source, policy, schema, pl.concat([pl.Series([], dtype=pl.String), *suspects]).unique())
    leaks, coincidences = [], 0
    for where, hit in hits.items():
        certain = hit.filter(_SUSPECT).join(known.filter(_TELLING), on="form", how="inner")
        coincidences += hit.join(certain, on="row", how="anti")["row"].n_unique()
        if certain.height:
            leaks.append(Leak(where.table, where.column, certain["row"].n_unique()))
    return Findings(tuple(leaks), coincidences)


def _hits(
    source: Snapshot,
    copy: Snapshot,
    policy: Policy,
    schema: Schema,
    originals: Originals,
    progress: Callable[[Progress], None],
) -> Mapping[_Searched, _Hits]:
    """One table after the other, column by column of each block; the next block is read meanwhile, be it another table's."""
    wanted = {
        name: _to_search(schema.tables[name], rule, strict=schema.strict)
        for name, rule in policy.tables.items()
        if rule.action == "copy"
        or (name in schema.tables and _filled_again(copy, policy, schema.tables[name]))
    }
    hits = {
        where: _Hits(_countable(where, policy.tables[where.table], originals))
        for columns in wanted.values()
        for where in columns
    }
    totals = {name: copy.estimate(name) for name, columns in wanted.items() if columns}
    done = dict.fromkeys(totals, 0)

    def blocks() -> Iterator[tuple[str, Block]]:
        for name in totals:
            for block in copy.blocks(name, [where.column for where in wanted[name]]):
                yield name, block

    def search(part: tuple[Block, _Searched]) -> tuple[Block, _Searched, pl.DataFrame, pl.DataFrame | None]:
        block, where = part
        texts, hit = _texts(block.frame[where.column]), hits[where]
        times = None if hit.echoed is None else _counts(texts.filter(texts.is_in(hit.echoed.implode())))
        return block, where, scan.search(texts, originals, inside=where.inside, clean=hit.clean), times

    with (
        closing(ahead(blocks())) as read,
        closing((block, where) for name, block in read for where in wanted[name]) as parts,
        several_ahead(search, parts, AT_ONCE) as searched,
    ):
        for block, where, found, times in searched:
            name, hit = where.table, hits[where]
            if times is not None:
                hit.times = _summed(hit.times, times)
            if (found := hit.undecided(found)).height:
                marked = _marked(source, where, block, found, policy.tables[name])
                hit.add(where, marked.with_columns(pl.col("row").cast(pl.Int64) + done[name]))
            if where is wanted[name][-1]:
                done[name] += block.frame.height
                progress(Progress("prove", name, done[name], max(done[name], totals[name])))
    return hits


def _filled_again(copy: Snapshot, policy: Policy, table: Table) -> bool:
    """Whether `disarm:`, or a trigger that it set off, put rows into a table that is truncated and has rows of its own."""
    if policy.tables[table.name].action != "truncate" or table.module or table.unsupported:
        return False
    return bool(policy.disarm) and copy.count(table.name) > 0


def _countable(where: _Searched, rule: TableRule, originals: Originals) -> pl.Series | None:
    """What of a kept column was noticed beside originals, where its rows in the copy are those of the source that are masked."""
    echoed = _worth_it(originals.echoes.of(where.table, where.column))["value"]
    return echoed if where.verbatim and rule.keep_rows is None and echoed.len() else None


def _texts(values: pl.Series) -> pl.Series:
    """A column's texts, those among bytes too; none where all are numbers."""
    if values.dtype == pl.Binary:
        return as_text(values)
    return values if values.dtype == pl.String else values.clear().cast(pl.String)


def _to_search(table: Table, rule: TableRule, *, strict: bool) -> list[_Searched]:
    found = []
    for column in table.columns:
        if strict and (column.kind in _NO_TEXT or column.declared == "boolean"):
            continue
        chosen = rule.columns.get(column.name)
        kept = chosen is not None and chosen.mask == "keep" and not column.generated
        if kept or column.kind in (
            "text",
            "json",
            "any",
        ):  # what a kept column holds need not be what it declares
            inside = chosen is None or chosen.mask in _PASSES_PARTS_ON
            found.append(_Searched(table.name, column.name, kept, inside))
    return found


def _marked(
    source: Snapshot, where: _Searched, block: Block, found: pl.DataFrame, rule: TableRule
) -> pl.DataFrame:
    """The same with `carried`: whether the source's same row holds the form in the same column."""
    if where.verbatim:
        return found.with_columns(pl.lit(value=True).alias("carried"))
    rows = found["row"].unique(maintain_order=True)
    masked = [column for column, chosen in rule.columns.items() if chosen.mask != "keep"]
    cells = source.cells(where.table, where.column, block.locator, rows.to_list(), masked)
    if cells is None:
        return found.with_columns(pl.lit(None, pl.Boolean).alias("carried"))
    there = pl.DataFrame({"row": rows, "value": pl.Series(cells, dtype=pl.String)}).drop_nulls()
    held = scan.forms(there["value"], inside=where.inside)
    held = held.select(there["row"].gather(held["text"]).alias("row"), "form").unique()
    return found.join(held.with_columns(carried=True), on=["row", "form"], how="left").with_columns(
        pl.col("carried").fill_null(value=False)
    )


def _settled(source: Snapshot, where: _Searched, hits: pl.DataFrame) -> pl.DataFrame:
    """Decides what could not be decided by row: whether the source's same column holds the form in any row."""
    open_ = hits.filter(pl.col("carried").is_null())["form"].unique()
    if open_.is_empty():
        return hits
    held = pl.Series("form", [], pl.String)
    for block in source.blocks(where.table, [where.column]) if where.inside else ():
        values = block.frame[where.column]
        if values.dtype == pl.String:
            here = scan.forms(values.drop_nulls().unique(), inside=True)["form"]
            held = pl.concat([held, here.filter(here.is_in(open_.implode()))]).unique()
    return hits.with_columns(pl.col("carried").fill_null(pl.col("form").is_in(held.implode())))


def confirmed(source: Snapshot, policy: Policy, schema: Schema, suspects: pl.Series) -> pl.DataFrame:
    """Which of these forms the source's masked columns hold: `form`, `times` (rows), and whether it `points` by itself."""
    counted = pl.DataFrame(schema={"form": pl.String, "times": pl.UInt32})
    for name, rule in policy.tables.items() if suspects.len() else ():
        if rule.action != "copy" or schema.tables[name].module:
            continue
        masked = _masked(schema.tables[name], rule)
        for block in source.blocks(name, masked, where=rule.where) if masked else ():
            pieces = [_counted(scan.written(block.frame[column]), suspects) for column in masked]
            pieces += [_counted(names, suspects) for names in whole_names(rule, block.frame)]
            counted = pl.concat([counted, *pieces]).group_by("form").agg(pl.col("times").sum())
    points = pl.col("form").str.contains("@", literal=True) | pl.col("form").str.contains(r"^\d{7,}$")
    return counted.with_columns(points.alias("points"))


def _counted(values: pl.Series, suspects: pl.Series) -> pl.DataFrame:
    counts = values.drop_nulls().alias("v").value_counts(name="n")
    times = counts["n"].cast(pl.UInt32)
    whole = scan.normal(scan.unescaped(counts["v"]))
    both = [pl.DataFrame({"form": form, "times": times}) for form in (whole, scan.telephone(counts["v"]))]
    several = (
        both[0]
        .with_row_index("text")
        .filter(whole.str.contains("@", literal=True) & whole.str.contains(" ", literal=True))
    )
    words = several.with_columns(pl.col("form").str.split(" ")).explode("form").unique()
    both.append(words.filter(pl.col("form").str.contains("@", literal=True)).drop("text"))
    return pl.concat(both).filter(pl.col("form").is_in(suspects.implode()))


def _masked(table: Table, rule: TableRule) -> list[str]:
    return [c.name for c in table.stored if c.name in rule.columns and rule.columns[c.name].mask != "keep"]


def _equal_in_row(source: Snapshot, table: Table, rule: TableRule) -> Findings:
    """Kept columns, which the copy has as the source has them, against the originals of the same row."""
    masks = catalogue()
    secret = [
        c for c in _masked(table, rule) if (mask := masks[rule.columns[c].mask]).draws and mask.identifying
    ]
    kept = [c.name for c in table.stored if c.kind != "binary" and rule.columns[c.name].mask == "keep"]
    if not secret or not kept:
        return Findings()
    conditions = {column: source.equal(column, secret) for column in kept}
    if not source.count(table.name, _both(rule.where, " OR ".join(conditions.values()))):
        return Findings()
    findings = Findings()
    for column, condition in conditions.items():
        equal = _times(source, table.name, column, _both(rule.where, condition), rule)
        findings += _echoes(source, table.name, column, equal, rule)
    return findings


def _echoed(
    source: Snapshot,
    table: Table,
    rule: TableRule,
    originals: Originals,
    times: Mapping[tuple[str, str], pl.DataFrame],
) -> Findings:
    """The same, noticed while the rows passed by. `times`: of columns that were counted in the copy, which holds what they held."""
    findings = Findings()
    for column in table.stored:
        equal = originals.echoes.of(table.name, column.name)
        findings += _echoes(
            source, table.name, column.name, equal, rule, times.get((table.name, column.name))
        )
    return findings


def _worth_it(equal: pl.DataFrame) -> pl.DataFrame:
    """Without small whole numbers."""
    return equal.filter(~pl.col("value").str.contains(SMALL))


def _echoes(
    source: Snapshot,
    table: str,
    column: str,
    equal: pl.DataFrame,
    rule: TableRule,
    everywhere: pl.DataFrame | None = None,
) -> Findings:
    equal = _worth_it(equal)
    if equal.is_empty():
        return Findings()
    if everywhere is None:
        everywhere = _times(source, table, column, rule.where, rule, equal["value"])
    both = equal.join(everywhere.rename({"times": "all"}), on="value", how="inner")
    leaks = int(both.filter(2 * pl.col("times") >= pl.col("all"))["times"].sum())
    return Findings((Leak(table, column, leaks),) if leaks else (), int(both["times"].sum()) - leaks)


def _times(
    source: Snapshot, table: str, column: str, where: str, rule: TableRule, wanted: pl.Series | None = None
) -> pl.DataFrame:
    """How many rows that a keep-list does not let pass hold each `value`, for the wanted ones or the first found."""
    keep = rule.keep_rows.where if rule.keep_rows else ""
    times = pl.DataFrame(schema=NONE_FOUND)
    for block in source.blocks(table, [column], where=where, keep=keep):
        values = block.frame[column]
        values = (values if block.keep is None else values.filter(~block.keep)).cast(pl.String).drop_nulls()
        if wanted is not None:
            values = values.filter(values.is_in(wanted.implode()))
        times = _summed(times, _counts(values)).head(MOST_VALUES)
    return times


def _counts(values: pl.Series) -> pl.DataFrame:
    return values.alias("value").value_counts(name="times").cast({"times": pl.Int64})


def _summed(times: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([times, more]).group_by("value", maintain_order=True).agg(pl.col("times").sum())


def _both(where: str, condition: str) -> str:
    return f"({where}\n) AND ({condition})" if where else f"({condition})"
