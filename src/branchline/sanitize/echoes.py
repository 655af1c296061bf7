"""Kept columns that hold what was masked in the same row, noticed while the row passes by.

Only candidates are kept, and only the first so many of a column: whether they are leaks is decided by how often the whole
column holds them (`branchline.sanitize.leaks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl

from branchline.sanitize.texts import as_text

MOST_VALUES = 10_000
ABSENT = 0
"""The mark of a row that holds nothing; no other is below 256."""
NONE_FOUND = {"value": pl.String, "times": pl.Int64}
_FIRST_BYTE = pl.col("text").cast(pl.Binary).bin.get(0, null_on_oob=True).clip(upper_bound=0x80) | 0x20
_MARK = pl.col("text").str.len_chars() * 256 + _FIRST_BYTE
"""Length and first letter: A and a differ by this bit, and of letters beyond ASCII none is told from another. Of all letters only the
Kelvin sign is told from its small one.
"""


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
        there = _texts([each for each in secrets if each.null_count() < each.len()])
        kept = _texts(beside.get_columns())
        for column, text in zip(beside.iter_columns(), kept, strict=True):
            rows = _equal(text, there)
            if keep is not None and rows.len():
                rows = rows.filter(~keep.gather(rows))
            if rows.len():
                self._add(table, text.values.gather(rows).alias(column.name))

    def _add(self, table: str, values: pl.Series) -> None:
        here = values.alias("value").value_counts(name="times").cast({"times": pl.Int64})
        with self._adding:
            both = pl.concat([self.of(table, values.name), here])
            merged = both.group_by("value", maintain_order=True).agg(pl.col("times").sum())
            self._found[table, values.name] = merged.head(MOST_VALUES)


@dataclass(frozen=True, slots=True)
class _Text:
    """A column as text, and of each row a number that is the same in rows that hold the same, whatever the case of letters."""

    values: pl.Series
    marks: npt.NDArray[np.uint32]


def _texts(columns: Sequence[pl.Series]) -> list[_Text]:
    """All at once: of many small blocks, each question of its own takes longer than its answer."""
    if not columns:
        return []
    texts = [as_text(column).alias("text") for column in columns]
    marks = pl.concat(texts).to_frame().select(_MARK.fill_null(ABSENT)).to_series().to_numpy()
    return [_Text(text, mark) for text, mark in zip(texts, np.split(marks, len(texts)), strict=True)]


def _equal(kept: _Text, secrets: Sequence[_Text]) -> pl.Series:
    """In which rows a kept column holds what one of the secrets does, whatever the case of letters, and not nothing."""
    there = kept.marks != ABSENT
    likely = [(np.flatnonzero(there & (kept.marks == secret.marks)), secret.values) for secret in secrets]
    likely = [(rows, values) for rows, values in likely if rows.size]
    if not likely:
        return pl.Series([], dtype=pl.UInt32)
    rows = pl.Series("row", np.concatenate([rows for rows, _ in likely]))
    others = pl.concat([values.gather(rows).alias("other") for rows, values in likely])
    both = pl.DataFrame([rows, kept.values.gather(rows).alias("kept"), others])
    same = pl.col("kept").str.to_lowercase() == pl.col("other").str.to_lowercase()
    return both.filter(same)["row"].unique()
