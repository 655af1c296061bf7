"""Kept columns that hold what was masked in the same row, noticed while the row passes by.

Only candidates are kept, and only the first so many of a column: whether they are leaks is decided by how often the whole
column holds them (`branchline.sanitize.leaks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt
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
            equal = [found for secret in there if (found := kept.rows_equal(secret)).size]
            rows = pl.Series(np.unique(np.concatenate(equal))) if equal else pl.Series([], dtype=pl.UInt32)
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
    """A column as text, and the lengths of its texts: 0 for those that are not there."""

    def __init__(self, values: pl.Series) -> None:
        self.values = as_text(values)
        self.sizes = self.values.str.len_chars().fill_null(0).to_numpy()
        self.numeric = values.dtype.is_numeric()

    @cached_property
    def numbers(self) -> npt.NDArray[np.bool_]:
        """Which texts begin as a number does."""
        return self.values.str.contains(r"^[-+]?\d").fill_null(value=False).to_numpy()

    def rows_equal(self, other: _Text) -> npt.NDArray[np.intp]:
        """Which rows hold the same in both, whatever the case of its letters, and not nothing."""
        alike = (self.sizes == other.sizes) & (self.sizes > 0)
        if self.numeric:
            alike &= other.numbers
        likely = np.flatnonzero(alike)
        if not likely.size:
            return likely
        both = pl.DataFrame(
            [self.values.gather(likely).alias("one"), other.values.gather(likely).alias("other")]
        )
        same = pl.col("one").str.to_lowercase() == pl.col("other").str.to_lowercase()
        equal: npt.NDArray[np.intp] = likely[both.select(same).to_series().to_numpy()]
        return equal
