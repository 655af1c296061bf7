r"""Rows as lines of text: fields apart by tabs, `\N` for NULL, and a backslash before what would end a field or line.

The form of PostgreSQL's COPY and of MySQL's LOAD DATA (https://www.postgresql.org/docs/current/sql-copy.html, "Text Format").
Polars reads and writes it; a block is looked at again only where it has more backslashes than NULLs.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import polars as pl

NULL = r"\N"
_MARK = b"\xef\xbb\xbf"
"""Polars leaves a byte order mark at the beginning out."""
_MEANING = {r"\\": "\\", r"\b": "\b", r"\f": "\f", r"\n": "\n", r"\r": "\r", r"\t": "\t", r"\v": "\v"}
_BACKSLASH = b"\\"[0]
_ESCAPE = re.compile(rb"\\(?!N)")
SAMPLE = 100
"""Escapes of a block that are looked at one by one: where others are in the same columns, counting those proves it."""
_TO_ESCAPE = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": r"\0"}


@dataclass(frozen=True, slots=True)
class Fields:
    """A block's rows as they were written, but for NULL. `escaped`: the columns that hold an escape."""

    frame: pl.DataFrame
    escaped: frozenset[str]

    def values(self, column: str) -> pl.Series:
        """What the fields of a column mean: texts without their escapes."""
        written = self.frame[column]
        if column not in self.escaped:
            return written
        escaped = written.str.contains("\\", literal=True).fill_null(value=False)
        meant = written.filter(escaped).str.replace_many(list(_MEANING), list(_MEANING.values()))
        places = pl.select(pl.when(escaped).then(escaped.cast(pl.UInt32).cum_sum() - 1)).to_series()
        return meant.gather(places).zip_with(escaped, written).alias(column)


def read_rows(block: bytes, columns: Sequence[str]) -> Fields:
    """Raises ValueError where lines have other fields: nothing of them in its message."""
    marked = _MARK + block if block.startswith(_MARK) else block
    try:
        frame = pl.read_csv(
            marked,
            has_header=False,
            separator="\t",
            quote_char=None,
            infer_schema=False,
            empty_string_is_null=False,
            null_values=NULL,
            raise_if_empty=False,
            new_columns=list(columns),
        ).rechunk()
    except pl.exceptions.PolarsError:
        frame = pl.DataFrame()
    if frame.columns != list(columns):
        raise ValueError("rows with other fields than were asked for")
    return Fields(frame, _escaped(block, frame))


def _escaped(block: bytes, frame: pl.DataFrame) -> frozenset[str]:
    """The columns in which some field holds a backslash and is not NULL."""
    backslashes = np.count_nonzero(np.frombuffer(block, np.uint8) == _BACKSLASH)
    escapes = backslashes - sum(frame.null_count().row(0))
    if not escapes:
        return frozenset()
    some = (found.start() for found in islice(_ESCAPE.finditer(block), SAMPLE))
    numbers = {block.count(b"\t", block.rfind(b"\n", 0, place) + 1, place) for place in some}
    names = frozenset(frame.columns[number] for number in numbers)
    if escapes == sum(frame[name].str.count_matches("\\", literal=True).sum() for name in names):
        return names
    return _holding(frame, re.escape("\\"))


def fields(texts: pl.DataFrame) -> pl.DataFrame:
    """Texts as they are written; NULL stays NULL."""
    special = [pl.col(name) for name in _holding(texts, r"[\\\t\n\r\x00]")]
    return texts.with_columns(
        each.str.replace_many(list(_TO_ESCAPE), list(_TO_ESCAPE.values())) for each in special
    )


def _holding(texts: pl.DataFrame, pattern: str) -> frozenset[str]:
    """The columns in which some text matches."""
    found = texts.select(pl.all().str.contains(pattern).any())
    return frozenset(column.name for column in found.iter_columns() if column.item())


def write_rows(frame: pl.DataFrame) -> memoryview:
    """Columns that are fields already, as lines."""
    out = io.BytesIO()
    frame.write_csv(out, include_header=False, separator="\t", quote_style="never", null_value=NULL)
    return out.getbuffer()


def typed(values: pl.Series, kinds: Mapping[str, str]) -> pl.Series:
    """By the kind of the column with this name: whole numbers, numbers, bytes (from hexadecimal digits), else text."""
    kind = kinds.get(values.name, "text")
    if kind == "integer":
        return values.cast(pl.Int64, strict=False)
    if kind == "number":
        return values.cast(pl.Float64, strict=False)
    if kind == "binary":
        return values.str.decode("hex")
    return values
