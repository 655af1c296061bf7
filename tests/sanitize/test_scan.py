"""What is remembered of originals, and what of a text is looked for; the filter may err, but never forgets."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from branchline.sanitize.scan import (
    DATE,
    NUMBER,
    WORD,
    Filter,
    forms,
    normal,
    telephone,
    telling,
    unescaped,
)

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


def plain(text: str) -> str:
    return unescaped(pl.Series([text])).item()


def number(text: str) -> str | None:
    digits = re.sub(r"[^0-9]", "", text).lstrip("0")
    is_one = re.fullmatch(NUMBER.strip("^$"), text) and not re.match(DATE, text)
    return digits if is_one and len(digits) >= 7 else None


def remembered(text: str, *, identifying: bool) -> set[str]:
    if digits := number(text):
        return {digits}
    form = words(plain(text.lower()))
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
        read = plain(text)
        assert {number(read), *words(read).split()} - {None} <= mine
        assert words(read) in mine or not words(read)


@pytest.mark.parametrize(
    "text",
    [
        "030 1234567 / 0171 7654321",
        "0301234567 01717654321",
        "0301234567 2026-01-05",
        "Room 12 030 1234567",
        "tel. 030\u00a01234567",
        "030\u20131234567",
        "030\t123 4567",
        "T0301234567",
        "#0301234567",
        "12 0301234567",
        "030-1234567",
        "0301234567ext",
        "030_1234567, or later",
        "(030) 12 34 56 7",
        "dial 0 3 0 1 2 3 4 5 6 7 now",
    ],
)
def test_a_number_is_found_whatever_is_between_its_digits_and_around_them(text: str) -> None:
    assert "301234567" in forms(pl.Series([text]), inside=True)["form"].to_list()


@pytest.mark.parametrize(
    "text",
    ["2024-01-05 10:11:12", "12, 345, 6789", "10:20:30:4567", "1234\n5678", "from 2024-01-05 to 2024-02-01"],
)
def test_dates_times_and_lists_are_no_numbers(text: str) -> None:
    found = forms(pl.Series([text]), inside=True)["form"]
    assert not found.str.contains(r"^\d{7,}$").any()


@pytest.mark.parametrize(
    "text",
    [
        "alice@real.example's account",
        "alice@real.example-deleted",
        "alice@real.example_old",
        "write to alice%40real.example%20now",
        "alice@real.example.Thanks a lot",
        r"{\"to\": \"alice\u0040real.example\"}",
    ],
)
def test_an_address_is_found_whatever_is_put_behind_it(text: str) -> None:
    assert "alice@real.example" in forms(pl.Series([text]), inside=True)["form"].to_list()


@pytest.mark.parametrize("text", ["https://shop/?u=alice%40real.example", r"alice\u0040real.example"])
def test_an_escaped_original_is_remembered_as_it_reads(text: str) -> None:
    told = telling([pl.Series([text])], identifying=False)
    assert [form for form in told if form.endswith("alice@real.example")]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2022101234", "2022101234"),
        ("19850312-1234", "198503121234"),
        ("20240512001", "20240512001"),
        ("2024-05-12", None),
        ("20240512", None),
        ("2024-05-12 10:30:00", None),
        ("20240512103000", None),
    ],
)
def test_a_number_that_begins_like_a_date_is_one(text: str, form: str | None) -> None:
    assert telephone(pl.Series([text])).to_list() == [form]


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
