"""What is remembered of originals, and what of a text is looked for; the filter may err, but never forgets."""

from __future__ import annotations

import re

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from branchline.sanitize.scan import DATE, NUMBER, WORD, Filter, forms, normal, telephone, telling

TEXT = st.one_of(
    st.text("aZéÉß07 .,+'@%-_/(\n", max_size=12),
    st.text("0123 +()-./", max_size=14),
    st.builds("{}.{}@mail.example".format, st.text("aéO'", max_size=4), st.text("bZ0", max_size=4)),
    st.sampled_from(
        [
            "+49 (30) 1234-567",
            "(0049) 30 123-4567",
            "1990-12-31",
            "20240101",
            "Ada Lovelace",
            "12 Main St.",
            "..",
            "007",
        ]
    ),
)


def words(text: str) -> str:
    return " ".join(re.findall(WORD, text.lower()))


def number(text: str) -> str | None:
    digits = re.sub(r"[^0-9]", "", text).lstrip("0")
    is_one = re.fullmatch(NUMBER.strip("^$"), text) and not re.match(DATE, text)
    return digits if is_one and len(digits) >= 7 else None


def remembered(text: str, *, identifying: bool) -> set[str]:
    if digits := number(text):
        return {digits}
    form = words(text)
    points = len(form) >= 8 and re.search("[ 0-9]", form) and not re.match(DATE, text)
    return {word for word in form.split() if "@" in word} | ({form} if identifying and points else set())


@given(st.lists(TEXT, max_size=20))
@example(["ada", "Ada", "+ada", "ada+", "a..b", "-"])
def test_a_text_is_its_words_in_small_letters_with_one_space_between(texts: list[str]) -> None:
    assert normal(pl.Series(texts, dtype=pl.String)).to_list() == [words(text) for text in texts]


@given(st.lists(st.one_of(st.none(), TEXT), max_size=20))
def test_a_telephone_number_is_its_digits_however_they_are_set_apart(texts: list[str | None]) -> None:
    found = telephone(pl.Series(texts, dtype=pl.String)).to_list()
    assert found == [None if text is None else number(text) for text in texts]


@given(st.lists(st.lists(st.one_of(st.none(), TEXT), max_size=20), max_size=3), st.booleans())
def test_of_originals_what_points_at_somebody_is_remembered_and_nothing_else(columns, identifying) -> None:
    told = telling([pl.Series(column, dtype=pl.String) for column in columns], identifying=identifying)
    texts = [text for column in columns for text in column if text is not None]
    assert set(told) == set().union(*(remembered(text, identifying=identifying) for text in texts))


@given(st.lists(TEXT, max_size=10))
def test_whatever_of_a_text_could_be_remembered_is_looked_for_in_it(texts: list[str]) -> None:
    looked_for = forms(pl.Series(texts, dtype=pl.String), inside=True)
    for place, text in enumerate(texts):
        mine = set(looked_for.filter(pl.col("text") == place)["form"])
        assert {number(text), *words(text).split()} - {None} <= mine
        assert words(text) in mine or not words(text)


def test_no_form_is_forgotten_where_many_of_a_block_meet_in_one_word_of_the_filter() -> None:
    many = pl.int_range(300_000, eager=True).cast(pl.String)  # some 5,000 pairs of them do
    filled = Filter()
    filled.add(many)
    assert filled.has(many).all()
    assert not filled.has("other " + many).any()


def test_a_filter_that_takes_its_memory_late_forgets_nothing() -> None:
    filled = Filter()
    filled.add(pl.Series(["ada@mail.example"]))
    filled.take_memory()
    assert filled.has(pl.Series(["ada@mail.example", "bob@mail.example"])).to_list() == [True, False]
