"""Rows as lines of text come back as they were, however many escapes there are among them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from branchline.adapters.databases.text_rows import fields, read_rows, write_rows

NAMES = ("one", "two", "three")
CELL = st.one_of(st.none(), st.text("aN\\\t\n\r\b\f\v\ufeff", max_size=4))


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=20))
@example([("\\N", None, "N"), ("a", "\\", "\\\\N")])
@example([("\ufeffa", "\\" * 9, "\n")])
@example([("a", "b", "c")] * 30 + [("a", "\\", None)])
@example([("\\", "b", None)] * 120 + [("a", "\\", "N")])
def test_texts_come_back_as_they_were_and_columns_without_an_escape_are_not_looked_at(rows) -> None:
    written = pl.DataFrame(rows, schema=dict.fromkeys(NAMES, pl.String), orient="row")
    read = read_rows(bytes(write_rows(fields(written))), NAMES)
    assert pl.DataFrame([read.values(name) for name in NAMES]).rows() == rows
    assert read.escaped == {
        name
        for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)
        if any(set(cell or "") & set("\\\t\n\r") for cell in column)
    }


def test_lines_of_another_width_are_an_error_that_quotes_nothing() -> None:
    with pytest.raises(ValueError, match=r"^rows with other fields than were asked for$"):
        read_rows(b"a\tsecret\n", ["one"])


def test_what_a_server_escapes_besides_is_understood_and_a_line_cut_short_is_read_as_far_as_it_goes() -> None:
    read = read_rows(b"a\\bb\\fc\\vd\\te\\\\bf\n", ["one"])
    assert read.values("one").to_list() == ["a\bb\fc\vd\te\\bf"]
    assert read_rows(b"a\\", ["one"]).values("one").to_list() == ["a\\"]
