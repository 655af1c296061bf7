"""A kept column that holds what was masked in its row is noticed, however the letters are written."""

from __future__ import annotations

import re
from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from branchline.sanitize.echoes import SMALL, Echoes

LETTERS = (
    "aAzZ éÉ\u0440\u0420\u017fẞßΩω1@-"  # cases one bit apart, with other first bytes, with other lengths
)
CELL = st.one_of(st.none(), st.text(LETTERS, max_size=3))
SPELLINGS = st.sampled_from([str.upper, str.lower, str.swapcase])


def same(one: str | None, other: str | None) -> bool:
    return bool(one) and bool(other) and str(one).lower() == str(other).lower()


@st.composite
def rows_of(draw: st.DrawFn) -> tuple[str | None, str | None, str | None, bool]:
    """Kept, masked, masked, and whether it passes; what is masked may be another spelling of what is kept."""
    kept = draw(CELL)
    spelled = st.none() if kept is None else SPELLINGS.map(lambda change: change(kept))
    return kept, draw(CELL | spelled), draw(CELL | spelled), draw(st.booleans())


@given(st.lists(rows_of(), min_size=1, max_size=30))
def test_the_rows_are_counted_in_which_a_kept_value_is_one_of_the_masked_whatever_its_case(rows) -> None:
    kept, first, second, passing = ([row[at] for row in rows] for at in range(4))
    echoes = Echoes()
    echoes.look(
        "people",
        [pl.Series("kept", first, pl.String), pl.Series("other", second, pl.String)],
        pl.DataFrame({"kept": pl.Series(kept, dtype=pl.String)}),
        pl.Series(passing),
    )
    expected = Counter(
        cell
        for cell, one, two, passes in rows
        if not passes and (same(cell, one) or same(cell, two)) and not re.search(SMALL, cell)
    )
    assert dict(echoes.of("people", "kept").rows()) == expected


def test_a_number_is_compared_as_it_is_written() -> None:
    echoes = Echoes()
    echoes.look("people", [pl.Series("phone", ["1700000", "x"])], pl.DataFrame({"id": [1700000, 18]}), None)
    assert echoes.of("people", "id").rows() == [("1700000", 1)]
    assert echoes.cover("people")


def test_small_numbers_take_no_room_from_others(monkeypatch) -> None:
    monkeypatch.setattr("branchline.sanitize.echoes.MOST_VALUES", 5)
    echoes = Echoes()
    for values in (list(range(100)), ["Ng", "Li"]):
        texts = pl.Series("number", values).cast(pl.String)
        echoes.look("people", [texts], pl.DataFrame({"shown": texts}), None)
    assert sorted(echoes.of("people", "shown").rows()) == [("Li", 1), ("Ng", 1)]
