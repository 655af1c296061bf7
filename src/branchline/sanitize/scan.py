"""Finding originals that came along: a filter of fixed size remembers them while masking, the finished copy is searched.

An original is remembered in its normal form: its words in small letters, one space between. What is searched for in a text
are all runs of one to four words, the whole of it, and its digit runs as telephone numbers. The filter says "perhaps": a hit
counts only after the same form was found among the source's originals.

Only originals that point at something are remembered: an address with @, seven digits or more that are no date, and values of
identifying masks of at least eight characters with a space or a digit in them. A single word such as a last name or a town
is somebody's original and everybody's word; a check that cries wolf is ignored.
"""

from __future__ import annotations

import re
import secrets
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from branchline.sanitize.drawing import mostly_distinct
from branchline.sanitize.echoes import Echoes

WORD = r"[\w]+(?:[.+'@%_\-]+\w+)*"
DIGITS = r"(?:\+|\b)\d[\d()./ \-]{5,}\d\b"
PLAIN = r"^[0-9a-z]+(?:[ .+'@%_\-][0-9a-z]+)*$"
ONE_WORD = r"^[0-9A-Za-z]*$"
NUMBER = r"^ *[+(]*[0-9][0-9()./ \-]*$"
DATE = r"^(19|20)\d\d-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])"
LONGEST_RUN = 4
FEWEST_DIGITS = 7
SHORTEST = 8
_WORDS = 1 << 23
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
Numbers = npt.NDArray[Any]


def normal(values: pl.Series) -> pl.Series:
    """Words in small letters, one space between."""
    lower = values.str.to_lowercase()
    plain = lower.str.contains(
        PLAIN
    )  # most are, and a regular expression's matches cost more than its answer
    if plain.all():
        return lower
    return lower.zip_with(plain, lower.str.extract_all(WORD).list.join(" "))


def telephone(values: pl.Series) -> pl.Series:
    """Digits only, without leading zeros; NULL where fewer than seven are left, it is a date, or more than a number."""
    like_one = values.str.contains(NUMBER)
    if like_one.any():
        like_one &= ~values.str.contains(DATE)
    numbers = pl.select(pl.when(like_one).then(values)).to_series()
    if numbers.null_count() == numbers.len():
        return numbers
    digits = numbers.str.replace_many(list(" +()./-"), [""] * 7).str.strip_chars_start("0")
    return pl.select(pl.when(digits.str.len_bytes() >= FEWEST_DIGITS).then(digits)).to_series()


def telling(values: pl.Series, *, identifying: bool) -> pl.Series:
    """The forms by which originals are remembered: only those that point at something."""
    values = values.drop_nulls()
    if not mostly_distinct(values):
        values = values.unique()
    points = values.str.contains("@", literal=True)
    if points.all():
        return normal(values).alias("form")
    numbers = telephone(values)
    if numbers.null_count() < numbers.len():
        values = values.filter(numbers.is_null())
    forms = normal(values)
    points = forms.str.contains("@", literal=True)
    if identifying and not points.all():
        points |= (
            (forms.str.len_chars() >= SHORTEST) & forms.str.contains(r"[ 0-9]") & ~values.str.contains(DATE)
        )
    return pl.concat([forms.filter(points), numbers.drop_nulls()]).alias("form")


class Filter:
    """A Bloom filter of 64 MiB, five bits per form in each of two words, hashed with a seed nobody keeps.

    With four million forms it errs about once in a thousand million, with twenty million about 15 times in a million.
    """

    def __init__(self) -> None:
        self._seed = secrets.randbits(63)
        self._words = np.zeros(_WORDS, dtype=np.uint64)
        self._adding = Lock()
        self.empty = True

    def add(self, forms: pl.Series) -> None:
        if forms.is_empty():
            return
        one, other, bits = self._places(forms)
        with self._adding:
            self.empty = False
            np.bitwise_or.at(self._words, one, bits)
            np.bitwise_or.at(self._words, other, bits)

    def has(self, forms: pl.Series) -> pl.Series:
        """Which forms may have been added; the others were not."""
        one, other, bits = self._places(forms)
        return pl.Series((self._words[one] & self._words[other] & bits) == bits)

    def _places(self, forms: pl.Series) -> tuple[Numbers, Numbers, Numbers]:
        """Of each form: its two words, and its bits in both."""
        hashes = forms.hash(self._seed).to_numpy()
        mixed = hashes * _MIX
        bits = _ONE << (mixed >> 58)
        for shift in (52, 46, 40, 34):
            bits |= _ONE << (mixed >> shift & 63)
        return (hashes & (_WORDS - 1)).view(np.int64), (hashes >> 41).view(np.int64), bits


class Originals:
    """What was masked, and what a keep-list let pass."""

    def __init__(self) -> None:
        self.masked, self.passed = Filter(), Filter()
        self.echoes = Echoes()

    def add(self, values: pl.Series, *, identifying: bool, keep: pl.Series | None) -> None:
        """Remembers a block's values of one masked column; rows of the keep-list pass, and their values with them."""
        if values.dtype != pl.String:
            values = values.cast(pl.String) if values.dtype.is_numeric() else values.clear().cast(pl.String)
        if keep is not None:
            self.passed.add(telling(values.filter(keep), identifying=identifying))
            values = values.filter(~keep)
        self.masked.add(telling(values, identifying=identifying))


def search(values: pl.Series, originals: Originals, *, inside: bool) -> pl.DataFrame:
    """What one block of a column may hold of the originals: `row` (within the block) and `form`.

    `inside`: in pieces of its texts too.
    """
    distinct = values.drop_nulls().unique()
    if values.dtype != pl.String or distinct.is_empty() or originals.masked.empty:
        return pl.DataFrame(schema={"row": pl.UInt32, "form": pl.String})
    found = forms(distinct, inside=inside)
    found = found.filter(originals.masked.has(found["form"]))
    found = found.filter(~originals.passed.has(found["form"]))
    named = found.select(distinct.gather(found["text"]).alias("value"), "form").unique()
    rows = pl.DataFrame({"value": values}).with_row_index("row")
    return rows.join(named, on="value", how="inner").select("row", "form")


def forms(texts: pl.Series, *, inside: bool) -> pl.DataFrame:
    """Every form that texts contain: the columns `text` (a position) and `form`."""
    texts = _unescaped(texts)
    places = pl.int_range(texts.len(), eager=True, dtype=pl.UInt32)
    if not inside:
        both = [pl.DataFrame({"text": places, "form": form}) for form in (normal(texts), telephone(texts))]
        return pl.concat(both).drop_nulls()
    one_word = texts.str.contains(ONE_WORD)
    parts = [_all_forms(texts.filter(~one_word), places.filter(~one_word))]
    if one_word.any():
        alone = forms(texts.filter(one_word), inside=False)
        parts.append(alone.with_columns(places.filter(one_word).gather(alone["text"]).alias("text")))
    return pl.concat(parts)


def _all_forms(texts: pl.Series, places: pl.Series) -> pl.DataFrame:
    """Of texts that hold several words: each whole, its runs of words, its numbers."""
    words = pl.DataFrame({"text": places, "form": texts.str.to_lowercase().str.extract_all(WORD)})
    whole = words.with_columns(pl.col("form").list.join(" "))
    single = words.explode("form").drop_nulls()
    parts = [whole, words.select("text").with_columns(telephone(texts).alias("form")).drop_nulls(), single]
    run = single
    for further in range(1, LONGEST_RUN):
        follows = single.select(
            pl.col("form").shift(-further).alias("next"),
            (pl.col("text").shift(-further) == pl.col("text")).alias("same"),
        )
        run = (
            pl.concat([run, follows], how="horizontal")
            .with_columns(
                pl.when(pl.col("same")).then(pl.concat_str("form", pl.lit(" "), "next")).alias("form")
            )
            .select("text", "form")
        )
        parts.append(run.drop_nulls())
    numbers = (
        words.select("text")
        .with_columns(texts.str.extract_all(DIGITS).alias("form"))
        .explode("form")
        .drop_nulls()
    )
    parts.append(numbers.with_columns(telephone(numbers["form"]).alias("form")).drop_nulls())
    return pl.concat(parts)


def _unescaped(texts: pl.Series) -> pl.Series:
    r"""JSON spells letters as \u00fc and / as \/: as they read."""
    escaped = texts.str.contains(r"\\u[0-9a-fA-F]{4}|\\/")
    if not escaped.any():
        return texts
    return pl.Series(
        [_plain(text) if odd else text for text, odd in zip(texts.to_list(), escaped.to_list(), strict=True)]
    )


def _plain(text: str) -> str:
    text = text.replace("\\/", "/")
    pairs = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found.group(1), 16)), text)
    return pairs.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
