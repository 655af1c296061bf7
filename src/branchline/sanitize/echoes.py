"""Kept columns that hold what was masked in the same row, noticed while the row passes by.

Only candidates are kept, and only the first so many of a column: whether they are leaks is decided by how often the whole
column holds them (`branchline.sanitize.leaks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import polars as pl

from branchline.sanitize.texts import as_text

MOST_VALUES = 10_000
NONE_FOUND = {"value": pl.String, "times": pl.Int64}


class Echoes:
    """By table and column: each `value` of a kept column that equals an original of its row, and in how many rows it does."""

    def __init__(self) -> None:
        self.looked_at: set[str] = set()
        self.missed: set[str] = set()
        """Tables of which some block was not seen with its kept columns."""
        self._found: dict[tuple[str, str], pl.DataFrame] = {}
        self._adding = Lock()

    def cover(self, table: str) -> bool:
        """Whether every row of a table was looked at."""
        return table in self.looked_at and table not in self.missed

    def of(self, table: str, column: str) -> pl.DataFrame:
        return self._found.get((table, column), pl.DataFrame(schema=NONE_FOUND))

    def look(
        self, table: str, secrets: Sequence[pl.Series], beside: pl.DataFrame, keep: pl.Series | None
    ) -> None:
        """At one block, whatever the case of letters; rows that a keep-list lets pass are none of it."""
        self.looked_at.add(table)
        there = [_Text(each) for each in secrets if each.null_count() < each.len()]
        for column in beside.iter_columns():
            kept = _Text(column)
            equal = [kept.rows_equal(secret) for secret in there]
            rows = pl.concat(equal).unique() if equal else pl.Series([], dtype=pl.UInt32)
            if keep is not None and rows.len():
                rows = rows.filter(~keep.gather(rows))
            if rows.len():
                self._add(table, column.gather(rows))

    def _add(self, table: str, values: pl.Series) -> None:
        here = values.alias("value").value_counts(name="times").cast({"times": pl.Int64})
        with self._adding:
            both = pl.concat([self.of(table, values.name), here])
            merged = both.group_by("value", maintain_order=True).agg(pl.col("times").sum())
            self._found[table, values.name] = merged.head(MOST_VALUES)


class _Text:
    """A column, its texts' lengths, and in small letters where somebody asks."""

    def __init__(self, values: pl.Series) -> None:
        self.values = as_text(values)
        self.sizes = self.values.str.len_chars()

    def rows_equal(self, other: _Text) -> pl.Series:
        """Which rows hold the same in both, whatever the case of its letters, and not nothing."""
        likely = ((self.sizes == other.sizes) & (self.sizes > 0)).arg_true()
        mine, theirs = (each.values.gather(likely).str.to_lowercase() for each in (self, other))
        return likely.filter(mine == theirs)
