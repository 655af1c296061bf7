"""Rows as the server joins them and as LOAD DATA takes them: fields and rows ended by control characters, NULL as an escape.

What the server joins is sound when there are as many of these characters as there must be: a value that held one itself
would make them more. Rows that are not sound, or not text, are kept as values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from branchline.adapters.databases.mysql_connection import Row
from branchline.adapters.databases.mysql_schema import Shape

ROWS, FIELDS, ESCAPE = "\x1e", "\x1f", "\x1a"
NULL = ESCAPE + "N"
ROWS_BYTE, FIELDS_BYTE, ESCAPE_BYTE, NULL_BYTES = b"\x1e", b"\x1f", b"\x1a", b"\x1aN"
_MARKS = f"[{ESCAPE}{FIELDS}{ROWS}]"
_LOOKED_AT = ("text", "json", "integer")
_WIDE = ("ucs2", "utf16", "utf16le", "utf32")
CODECS = {
    **dict.fromkeys(("utf8mb4", "utf8mb3", "utf8", "ascii", ""), "utf-8"),
    "latin1": "cp1252", "ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le", "utf32": "utf-32-be",
    "latin2": "iso8859-2", "cp1250": "cp1250", "cp1251": "cp1251", "greek": "iso8859-7", "hebrew": "iso8859-8",
    "sjis": "shift_jis", "cp932": "cp932", "ujis": "euc_jp", "gbk": "gbk", "gb2312": "gb2312", "big5": "big5",
    "euckr": "euc_kr", "koi8r": "koi8_r", "koi8u": "koi8_u", "latin5": "iso8859-9", "latin7": "iso8859-13",
}  # fmt: skip


def sound(joined: bytes, rows: int, fields: int, nulls: int) -> bool:
    """Whether no value holds what ends fields and rows or stands for NULL."""
    return (
        joined.count(ROWS_BYTE) == rows - 1
        and joined.count(FIELDS_BYTE) == rows * (fields - 1)
        and joined.count(ESCAPE_BYTE) == nulls
    )


def columns(rows: pl.Series, names: Sequence[str]) -> list[pl.Series]:
    """The columns of sound rows."""
    if len(names) == 1:
        apart = [rows]
    else:
        apart = rows.str.split_exact(FIELDS, len(names) - 1).struct.unnest().get_columns()
    return [
        pl.select(pl.when(column != NULL).then(column).alias(name)).to_series()
        for name, column in zip(names, apart, strict=True)
    ]


def text_rows(joined: bytes) -> pl.Series | None:
    """Joined rows one by one; None where they are not all UTF-8."""
    try:
        text = pl.Series([joined], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return None
    return text.str.split(ROWS).explode()


@dataclass(frozen=True, slots=True)
class Passing:
    """The columns of a block that pass through as they are: `rows` as text or bytes that the server joined, or `values`."""

    shapes: tuple[Shape, ...]
    joined: bytes = b""
    texts: pl.Series | None = None
    values: Sequence[Row] | None = None

    @classmethod
    def of(cls, shapes: tuple[Shape, ...], joined: bytes) -> Passing:
        wide = any(shape.charset in _WIDE for shape in shapes)
        return cls(shapes, joined, None if wide else text_rows(joined))

    def beside(self) -> pl.DataFrame:
        """Its texts and whole numbers as text, to be compared with what is masked beside them."""
        if self.texts is not None:
            found = columns(self.texts, [shape.column.name for shape in self.shapes])
            return pl.DataFrame(
                [
                    column
                    for shape, column in zip(self.shapes, found, strict=True)
                    if shape.column.kind in _LOOKED_AT
                ]
            )
        rows = self._values()
        return pl.DataFrame(
            [
                pl.Series(shape.column.name, [_decoded(shape, row[place]) for row in rows], pl.String)
                for place, shape in enumerate(self.shapes)
                if shape.column.kind in _LOOKED_AT
            ]
        )

    def lines(self, masked: pl.Series | None) -> bytes:
        """Rows as LOAD DATA takes them, each ended; the masked fields of each before those that pass."""
        if masked is None and self.values is None:
            return self.joined + ROWS_BYTE
        if masked is not None and self.texts is not None:
            both = pl.DataFrame([masked.alias("masked"), self.texts.alias("passing")])
            return ended(both.select(pl.concat_str(pl.all(), separator=FIELDS)).to_series())
        if self.values is None:
            passing: Sequence[bytes] = self.joined.split(ROWS_BYTE)
        else:
            passing = [FIELDS_BYTE.join(map(field, row)) for row in self.values]
        if masked is not None:
            before = masked.cast(pl.Binary).to_list()
            passing = list(map(FIELDS_BYTE.join, zip(before, passing, strict=True)))
        return ROWS_BYTE.join(passing) + ROWS_BYTE

    def _values(self) -> Sequence[Row]:
        if self.values is not None:
            return self.values
        return [
            tuple(None if value == NULL_BYTES else value for value in row.split(FIELDS_BYTE))
            for row in self.joined.split(ROWS_BYTE)
        ]


def ended(rows: pl.Series) -> bytes:
    """Rows of text, each ended."""
    return str(rows.str.join(ROWS).item() + ROWS).encode()


def masked_rows(
    shapes: Sequence[Shape], masked: pl.DataFrame, shown: pl.DataFrame, keep: pl.Series | None
) -> pl.Series:
    """The fields of masked columns; rows that a keep-list lets pass have what the server `shown` of them."""
    fields = [_field(shape, masked[shape.column.name], shown[shape.column.name], keep) for shape in shapes]
    return pl.DataFrame(fields).select(pl.concat_str(pl.all(), separator=FIELDS)).to_series()


def field(value: bytes | None) -> bytes:
    """One value as LOAD DATA takes it."""
    if value is None:
        return NULL_BYTES
    for mark in (ESCAPE_BYTE, FIELDS_BYTE, ROWS_BYTE):
        if mark in value:
            value = value.replace(mark, ESCAPE_BYTE + mark)
    return value


def _field(shape: Shape, masked: pl.Series, shown: pl.Series, keep: pl.Series | None) -> pl.Series:
    if shape.binary:
        texts = masked.cast(pl.Binary).bin.encode("hex")
    else:
        texts = masked.cast(pl.String)
        if keep is not None and keep.any():
            texts = shown.cast(pl.String).zip_with(keep, texts)
        if texts.str.contains(_MARKS).any():
            for mark in (ESCAPE, FIELDS, ROWS):
                texts = texts.str.replace_all(mark, ESCAPE + mark, literal=True)
    return texts.fill_null(NULL).alias(shape.column.name)


def _decoded(shape: Shape, value: bytes | None) -> str | None:
    return None if value is None else value.decode(CODECS.get(shape.charset, "latin-1"), "replace")
