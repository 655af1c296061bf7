"""Reading a table in blocks along its primary key, without a Python object per value.

The server joins the wanted columns of a block into one text, and those that only pass through into another; Polars splits
the former. What separates values may be inside a value, or a value too long to be joined: then the counts do not
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
from branchline.adapters.databases.mysql_rows import NULL, ROWS, Passing, columns, sound, text_rows
from branchline.adapters.databases.mysql_schema import Layout, Shape
from branchline.errors import Failed

BLOCK_BYTES = 4 * 2**20
MOST_ROWS, FIRST_ROWS = 32_768, 1_024
STREAMED_ROWS = 4_096
TERMS = 50

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
            rows = session.rows(f"SELECT {', '.join(shape.exact for shape in shapes)} {self.which}")
        return [
            " AND ".join(
                f"{shape.name} = {shape.literal(value)}"
                for shape, value in zip(shapes, rows[position], strict=True)
            )
            for position in positions
        ]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows: `shown` the wanted columns as text (bytes as bytes), `frame` the same as what they are declared to hold, and
    those that pass through; None where no column does.
    """

    shown: pl.DataFrame
    frame: pl.DataFrame
    keep: pl.Series | None
    passing: Passing | None
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
        self.passing = tuple(layout.shape(name) for name in passing)
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
            if until == after:
                raise _no_way_on(self.layout.name)
            self._look_ahead(after, until, piece.rows)
            after = until

    def _read(self, session: Session, which: str) -> Piece | None:
        """None where that is too much at a time."""
        piece = self._joined(session, which)
        if piece is None and (self.rows == 1 or self._size(session, which) <= BLOCK_BYTES):
            piece = self._by_value(session, which)
        return piece

    def _size(self, session: Session, which: str) -> int:
        lengths = _sum([f"IFNULL(LENGTH({shape.name}), 0)" for shape in [*self.wanted, *self.passing]])
        return int(session.one(f"SELECT IFNULL(SUM({lengths}), 0) {which}"))

    def _until(self, session: Session, after: Row | None) -> Row | None:
        """The key of the block's last row; None where the table ends before."""
        if self.dense and after is not None:
            guess = int(after[0]) + self.rows
            return (str(guess).encode(),) if guess < self.highest else None
        names = ", ".join(shape.name for shape in self.key)
        exact = ", ".join(shape.exact for shape in self.key)
        found = session.rows(
            f"SELECT {exact} FROM {self.table} FORCE INDEX (PRIMARY) WHERE {self._after(after)}"
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
        """None where a value holds what joins them, or where they are too long together."""
        shown = [(shape, shape.shown) for shape in self.wanted]
        stored = [(shape, shape.stored) for shape in self.passing]
        chosen = ["COUNT(*)", "@@group_concat_max_len", *_joining(shown), *_joining(stored)]
        if self.keep:
            chosen.append(f"GROUP_CONCAT({self._flag()} SEPARATOR '')")
        (row,) = session.rows(f"SELECT {', '.join(chosen)} {which}")
        count, limit = int(row[0]), int(row[1]) - 4
        if not count:
            return Piece(pl.DataFrame(), pl.DataFrame(), None, None, 0, None)
        parts = [
            (joined, len(members), int(nulls))
            for members, nulls, joined in ((shown, *row[2:4]), (stored, *row[4:6]))
            if members
        ]
        if any(joined is None or len(joined) >= limit for joined, _, _ in parts):
            return None
        if not all(sound(joined, count, fields, nulls) for joined, fields, nulls in parts):
            return None
        self._adapt(count, sum(len(joined) for joined, _, _ in parts))
        series = []
        if self.wanted:
            rows = text_rows(row[3])
            if rows is None:
                return None
            series = columns(rows, [shape.column.name for shape in self.wanted])
        flags = [character == 0x31 for character in row[6]] if self.keep else None  # noqa: PLR2004 - the digit 1
        passing = Passing.of(self.passing, row[5]) if self.passing else None
        return self._piece(count, series, flags, passing, which)

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
        passing = Passing(self.passing, values=[row[start:] for row in rows]) if self.passing else None
        return self._piece(len(rows), columns, flags, passing, which)

    def _piece(
        self,
        rows: int,
        series: Sequence[pl.Series],
        flags: Sequence[bool] | None,
        passing: Passing | None,
        which: str,
    ) -> Piece:
        shown = pl.DataFrame(
            [
                _bytes_or_text(shape, each).alias(shape.column.name)
                for shape, each in zip(self.wanted, series, strict=True)
            ]
        )
        frame = pl.DataFrame([_typed(shape, shown[shape.column.name]) for shape in self.wanted])
        keep = pl.Series("keep", flags, pl.Boolean) if flags is not None else None
        place = Place(self.sessions, self.layout, which) if self.key else None
        return Piece(shown, frame, keep, passing, rows, place)

    def _flag(self) -> str:
        return f"IFNULL(({self.keep}\n) <> 0, 0)"


def _joining(members: Sequence[tuple[Shape, str]]) -> tuple[str, str]:
    """How many NULLs there are among these, and all of them in one text."""
    if not members:
        return "0", "NULL"
    nulls = [f"({shape.name} IS NULL)" for shape, _ in members if shape.column.nullable]
    fields = [f"IFNULL({shown}, '{NULL}')" if shape.column.nullable else shown for shape, shown in members]
    joined = f"GROUP_CONCAT(CONCAT_WS(x'1f', {', '.join(fields)}) SEPARATOR '{ROWS}')"
    return f"IFNULL(SUM({_sum(nulls)}), 0)" if nulls else "0", joined


def _sum(terms: Sequence[str]) -> str:
    """Of a thousand terms in a row the server says that its stack is full."""
    parts = [" + ".join(terms[at : at + TERMS]) for at in range(0, len(terms), TERMS)]
    return " + ".join(f"({part})" for part in parts)


def _bytes_or_text(shape: Shape, values: pl.Series) -> pl.Series:
    """What the server showed of a column, joined (text) or by value (bytes)."""
    if shape.binary:
        return values if values.dtype == pl.Binary else values.str.decode("hex")
    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:  # an ill-formed text of an old server: read with escapes in it
        texts = [each if each is None else each.decode("utf-8", "backslashreplace") for each in values]
        return pl.Series(texts, dtype=pl.String)


def _typed(shape: Shape, values: pl.Series) -> pl.Series:
    """As what the column is declared to hold. Whole numbers that do not fit 63 bits stay text."""
    dtype = {"integer": pl.Int64, "number": pl.Float64}.get(shape.column.kind)
    if dtype is None:
        return values
    numbers = values.cast(dtype, strict=False)
    return numbers if numbers.null_count() == values.null_count() else values


def _no_way_on(table: str) -> Failed:
    what = f"Reading {table}: its primary key does not come in its own order."
    return Failed(525, what, "Report this with the table's definition; nothing was switched.")


def too_large(table: str, column: str) -> Failed:
    """For a masked whole number that a mask could only get wrong."""
    what = (
        f"{table}.{column} holds whole numbers above 9223372036854775807, which cannot be masked as numbers."
    )
    return Failed(535, what, "Choose null or constant for it in sanitize.yaml.")
