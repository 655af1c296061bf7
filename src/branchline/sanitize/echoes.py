"""Kept columns that hold what was masked in the same row, noticed while the row passes by.

Only candidates are kept, and only the first so many of a column: whether they are leaks is decided by how often the whole
column holds them (`branchline.sanitize.leaks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Lock

import numpy as np
import numpy.ma  # asked for by Polars at the first array that becomes a column, while a block waits
import numpy.typing as npt
import polars as pl

from branchline.sanitize.texts import as_text

MOST_VALUES = 10_000
SMALL = r"^[-+]?\d{0,6}(\.0)?$"
"""Whole numbers that are equal by chance."""
ABSENT = (0, 1)
"""The marks of a kept column and of a secret that hold nothing; no other is below 256."""
NONE_FOUND = {"value": pl.String, "times": pl.Int64}
_NO_BYTE = 0xFF
"""In no text."""
_LENGTH = pl.col("text").str.len_chars().fill_null(0)
_FIRST_BYTE = pl.col("text").cast(pl.Binary).bin.get(0, null_on_oob=True).fill_null(_NO_BYTE)


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
        secrets = [each for each in secrets if each.null_count() < each.len()]
        for values in _equal(beside.get_columns(), secrets, keep) if secrets and beside.width else ():
            self._add(table, values)

    def _add(self, table: str, values: pl.Series) -> None:
        telling = values.filter(~values.str.contains(SMALL)).alias("value")
        here = telling.value_counts(name="times").cast({"times": pl.Int64})
        with self._adding:
            both = pl.concat([self.of(table, values.name), here])
            merged = both.group_by("value", maintain_order=True).agg(pl.col("times").sum())
            self._found[table, values.name] = merged.head(MOST_VALUES)


def _equal(
    kept: Sequence[pl.Series], secrets: Sequence[pl.Series], keep: pl.Series | None
) -> Iterator[pl.Series]:
    """Of each kept column what equals one of the secrets of its row, whatever the case of letters, and is not nothing. Asked of all
    columns at once: of many small blocks, each question of its own takes longer than its answer.
    """
    here, there = _texts(kept), _texts(secrets)
    rows = kept[0].len()
    marks, sought = (
        _marks(texts, absent).reshape(-1, max(rows, 1))
        for texts, absent in zip((here, there), ABSENT, strict=True)
    )
    found = [np.flatnonzero(marks == one) for one in sought]
    column, row = np.divmod(np.concatenate(found), max(rows, 1))
    secret = np.repeat(np.arange(len(found)), [each.size for each in found])
    if keep is not None:
        masked = ~keep.to_numpy()[row]
        column, secret, row = column[masked], secret[masked], row[masked]
    if not row.size:
        return
    one, other = (texts.gather(pl.Series(at * rows + row)) for texts, at in ((here, column), (there, secret)))
    same = (one.str.to_lowercase() == other.str.to_lowercase()).to_numpy()
    for at in np.unique(column[same]):
        of_one = pl.Series(np.unique(row[same & (column == at)]))
        yield as_text(kept[at]).gather(of_one).alias(kept[at].name)


def _texts(columns: Sequence[pl.Series]) -> pl.Series:
    """One column below the other."""
    return pl.concat([as_text(column).alias("text") for column in columns], rechunk=True)


def _marks(texts: pl.Series, absent: int) -> npt.NDArray[np.uint32]:
    """Of each text a number that is the same for those that are the same, whatever the case of letters: its length and first byte.
    A and a differ by one bit, and of letters beyond ASCII none is told from another. Of all letters only the Kelvin sign is told from
    its small one.
    """
    length, byte = texts.to_frame("text").select(_LENGTH, _FIRST_BYTE.alias("byte"))
    first = byte.to_numpy()
    marks = length.to_numpy() * np.uint32(256) + (np.minimum(first, 0x80) | 0x20)
    return np.where(first == _NO_BYTE, np.uint32(absent), marks)
