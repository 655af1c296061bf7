"""Reading a table in blocks along its primary key, without a Python object per value.

The server joins each wanted column of a block into one text, and all columns that only pass through into another; Polars
splits the former. What separates values may be inside a value, or a value too long to be joined: then the counts do not
fit, and that block alone is read value by value. A table without a usable key is read in one stream, row by row.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values are literals by `Shape.literal`, conditions were probed

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import polars as pl

from branchline.adapters.databases.mysql_connection import Row, Session, identifier
from branchline.adapters.databases.mysql_schema import Layout, Shape
from branchline.errors import Failed

ROWS, FIELDS, ESCAPE = "\x1e", "\x1f", "\x1a"
NULL = ESCAPE + "N"
ROWS_BYTE, FIELDS_BYTE, ESCAPE_BYTE, NULL_BYTES = b"\x1e", b"\x1f", b"\x1a", b"\x1aN"
BLOCK_BYTES = 4 * 2**20
MOST_ROWS, FIRST_ROWS = 32_768, 1_024
STREAMED_ROWS = 4_096

Sessions = Callable[[], AbstractContextManager[Session]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands in its table, as long as the snapshot that it is of is open."""

    sessions: Sessions
    layout: Layout
    which: str

    def keys(self, positions: Sequence[int]) -> list[str]:
        """Conditions that find the rows at these positions of the block."""
        shapes = [self.layout.shape(name) for name in self.layout.key]
        with self.sessions() as session:
            rows = session.rows(f"SELECT {', '.join(shape.shown for shape in shapes)} {self.which}")
        return [
            " AND ".join(
                f"{shape.name} = {shape.literal(value)}"
                for shape, value in zip(shapes, rows[position], strict=True)
            )
            for position in positions
        ]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows: `frame` of the wanted columns, and the fields of those that pass through, ready to be loaded, as the server
    joined them or row by row; None where no column passes through.
    """

    frame: pl.DataFrame
    keep: pl.Series | None
    passing: bytes | Sequence[bytes] | None
    rows: int
    place: Place | None


class Reader:
    """One reading of one table: `wanted` columns in frames, `passing` ones as they are."""

    def __init__(
        self,
        sessions: Sessions,
        layout: Layout,
        wanted: Sequence[str],
        passing: Sequence[str] = (),
        *,
        where: str = "",
        keep: str = "",
    ) -> None:
        self.sessions, self.layout, self.keep = sessions, layout, keep
        self.wanted = [layout.shape(name) for name in wanted]
        self.passing = [layout.shape(name) for name in passing]
        self.key = [layout.shape(name) for name in layout.key]
        self.where = f"({where}\n)" if where else "TRUE"
        self.table = identifier(layout.name)
        self.rows = FIRST_ROWS
        self.dense, self.highest = False, 0

    def pieces(self) -> Iterator[Piece]:
        """All rows that meet `where`. Raises the driver's errors."""
        if not self.key:
            yield from self._streamed()
            return
        after: Row | None = None
        while True:
            with self.sessions() as session:
                until = self._until(session, after)
                piece = self._read(session, self._which(after, until))
            if piece is None:
                self.dense = False
                self.rows = max(1, self.rows // 16)
                continue
            if piece.rows:
                yield piece
            if until is None:
                return
            self._look_ahead(after, until, piece.rows)
            after = until

    def _read(self, session: Session, which: str) -> Piece | None:
        """None where that is too much at a time."""
        piece = self._joined(session, which)
        if piece is None and (self.rows == 1 or self._size(session, which) <= BLOCK_BYTES):
            piece = self._by_value(session, which)
        return piece

    def _size(self, session: Session, which: str) -> int:
        lengths = " + ".join(f"IFNULL(LENGTH({shape.name}), 0)" for shape in [*self.wanted, *self.passing])
        return int(session.one(f"SELECT IFNULL(SUM({lengths}), 0) {which}"))

    def _until(self, session: Session, after: Row | None) -> Row | None:
        """The key of the block's last row; None where the table ends before."""
        if self.dense and after is not None:
            guess = int(after[0]) + self.rows
            return (str(guess).encode(),) if guess < self.highest else None
        names = ", ".join(shape.name for shape in self.key)
        shown = ", ".join(shape.shown for shape in self.key)
        found = session.rows(
            f"SELECT {shown} FROM {self.table} FORCE INDEX (PRIMARY) WHERE {self._after(after)}"
            f" ORDER BY {names} LIMIT 1 OFFSET {self.rows - 1}"
        )
        return found[0] if found else None

    def _look_ahead(self, after: Row | None, until: Row, rows: int) -> None:
        """Whole numbers with few gaps need not be asked where the next block ends."""
        if len(self.key) != 1 or self.key[0].column.kind != "integer" or after is None:
            return
        self.dense = int(until[0]) - int(after[0]) <= 2 * rows
        if self.dense and not self.highest:
            with self.sessions() as session:
                self.highest = int(session.one(f"SELECT MAX({self.key[0].name}) FROM {self.table}") or 0)

    def _after(self, after: Row | None) -> str:
        return self._beyond(after, ">") if after is not None else "TRUE"

    def _beyond(self, key: Row, comparison: str, last: str = "") -> str:
        pairs = [(shape.name, shape.literal(value)) for shape, value in zip(self.key, key, strict=True)]
        ways = []
        for number, (name, value) in enumerate(pairs):
            sign = last if last and number == len(pairs) - 1 else comparison
            ways.append(" AND ".join([f"{n} = {v}" for n, v in pairs[:number]] + [f"{name} {sign} {value}"]))
        return "(" + " OR ".join(f"({way})" for way in ways) + ")"

    def _which(self, after: Row | None, until: Row | None) -> str:
        bound = self._beyond(until, "<", "<=") if until is not None else "TRUE"
        return (
            f"FROM {self.table} FORCE INDEX (PRIMARY) WHERE {self._after(after)} AND {bound} AND {self.where}"
        )

    def _joined(self, session: Session, which: str) -> Piece | None:
        columns = [f"GROUP_CONCAT({_marked(shape, shape.shown)} SEPARATOR '{ROWS}')" for shape in self.wanted]
        columns += [f"COUNT({shape.name})" for shape in self.wanted]
        if self.keep:
            columns.append(f"GROUP_CONCAT({self._flag()} SEPARATOR '')")
        if self.passing:
            nulls = [f"({shape.name} IS NULL)" for shape in self.passing if shape.column.nullable]
            columns += [
                f"IFNULL(SUM({' + '.join(nulls)}), 0)" if nulls else "0",
                f"GROUP_CONCAT(CONCAT_WS(x'1f', {self._fields()}) SEPARATOR '{ROWS}')",
            ]
        (row,) = session.rows(f"SELECT {', '.join(['COUNT(*)', '@@group_concat_max_len', *columns])} {which}")
        count, limit, values = int(row[0]), int(row[1]) - 4, list(row[2:])
        if not count:
            return self._piece(
                0, [pl.Series([], dtype=pl.String)] * len(self.wanted), [] if self.keep else None, b"", which
            )
        texts, filled = values[: len(self.wanted)], values[len(self.wanted) : 2 * len(self.wanted)]
        rest = values[2 * len(self.wanted) :]
        if any(text is None or len(text) >= limit for text in [*texts, *rest]):
            return None
        self._adapt(count, sum(len(text) for text in [*texts, *rest]))
        flags = [character == 0x31 for character in rest[0]] if self.keep else None  # noqa: PLR2004 - the digit 1
        passing = rest[-1] if self.passing else None
        if passing is not None and not self._sound(passing, count, int(rest[-2])):
            return None
        series = []
        for text, there in zip(texts, filled, strict=True):
            split = _split(text, count, count - int(there))
            if split is None:
                return None
            series.append(split)
        return self._piece(count, series, flags, passing, which)

    def _sound(self, passing: bytes, rows: int, nulls: int) -> bool:
        """Whether no value holds what separates values: then there would be more of it."""
        return (
            passing.count(ROWS_BYTE) == rows - 1
            and passing.count(FIELDS_BYTE) == rows * (len(self.passing) - 1)
            and passing.count(ESCAPE_BYTE) == nulls
        )

    def _adapt(self, rows: int, size: int) -> None:
        fitting = int(BLOCK_BYTES / 2 / max(size / rows, 1))
        self.rows = max(1, min(MOST_ROWS, self.rows * 8, fitting))

    def _by_value(self, session: Session, which: str) -> Piece:
        rows = session.rows(f"SELECT {self._values()} {which}")
        self._adapt(max(len(rows), 1), sum(len(value or b"") for row in rows for value in row))
        return self._from_rows(rows, which)

    def _streamed(self) -> Iterator[Piece]:
        with self.sessions() as session:
            sql = f"SELECT {self._values()} FROM {self.table} WHERE {self.where}"
            for rows in session.streamed(sql, STREAMED_ROWS, BLOCK_BYTES):
                yield self._from_rows(rows, "")

    def _values(self) -> str:
        """No function of text here where it can be helped: they give NULL above max_allowed_packet."""
        columns = [self._flag() if self.keep else "1"]
        columns += [shape.name if shape.binary else shape.shown for shape in self.wanted]
        columns += [shape.name if shape.charset or shape.binary else shape.stored for shape in self.passing]
        return ", ".join(columns)

    def _from_rows(self, rows: Sequence[Row], which: str) -> Piece:
        across: list[Any] = list(zip(*rows, strict=True)) or [()] * (1 + len(self.wanted) + len(self.passing))
        start = 1 + len(self.wanted)
        columns = [pl.Series(values, dtype=pl.Binary) for values in across[1:start]]
        flags = [flag == b"1" for flag in across[0]] if self.keep else None
        passing = [FIELDS_BYTE.join(map(field, row[start:])) for row in rows] if self.passing else None
        return self._piece(len(rows), columns, flags, passing, which)

    def _piece(
        self,
        rows: int,
        columns: Sequence[pl.Series],
        flags: Sequence[bool] | None,
        passing: bytes | Sequence[bytes] | None,
        which: str,
    ) -> Piece:
        frame = pl.DataFrame(
            [
                typed(shape, column).alias(shape.column.name)
                for shape, column in zip(self.wanted, columns, strict=True)
            ]
        )
        keep = pl.Series("keep", flags, pl.Boolean) if flags is not None else None
        place = Place(self.sessions, self.layout, which) if self.key else None
        return Piece(frame, keep, passing, rows, place)

    def _flag(self) -> str:
        return f"IFNULL(({self.keep}\n) <> 0, 0)"

    def _fields(self) -> str:
        return ", ".join(_marked(shape, shape.stored) for shape in self.passing)


def typed(shape: Shape, values: pl.Series) -> pl.Series:
    """What the server showed of a column, joined (text) or by value (bytes), as what the column is declared to hold. Whole
    numbers that do not fit 63 bits stay text.
    """
    if shape.binary:
        return values if values.dtype == pl.Binary else values.str.decode("hex")
    texts = values.cast(pl.String)
    dtype = {"integer": pl.Int64, "number": pl.Float64}.get(shape.column.kind)
    if dtype is None:
        return texts
    numbers = texts.cast(dtype, strict=False)
    return numbers if numbers.null_count() == texts.null_count() else texts


def field(value: bytes | None) -> bytes:
    """One value as LOAD DATA takes it."""
    if value is None:
        return NULL_BYTES
    for mark in (ESCAPE_BYTE, FIELDS_BYTE, ROWS_BYTE):
        if mark in value:
            value = value.replace(mark, ESCAPE_BYTE + mark)
    return value


def too_large(table: str, column: str) -> Failed:
    """For a masked whole number that a mask could only get wrong."""
    what = (
        f"{table}.{column} holds whole numbers above 9223372036854775807, which cannot be masked as numbers."
    )
    return Failed(535, what, "Choose null or constant for it in sanitize.yaml.")


def _marked(shape: Shape, expression: str) -> str:
    return f"IFNULL({expression}, '{NULL}')" if shape.column.nullable else expression


def _split(text: bytes, rows: int, nulls: int) -> pl.Series | None:
    """A joined column in its values again; None when a value itself held the marks that join them."""
    column = pl.Series([text], dtype=pl.Binary).cast(pl.String).str.split(ROWS).explode()
    if column.len() != rows:
        return None
    if not nulls:
        return column
    marked = column == NULL
    if int(marked.sum()) != nulls:
        return None
    return pl.select(pl.when(~marked).then(column)).to_series()
