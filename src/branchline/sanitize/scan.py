"""Finding originals that came along: a filter of fixed size remembers them while masking, the finished copy is searched.

An original is remembered in its normal form: its words in small letters, one space between. What is searched for in a text
are all runs of one to four words, the whole of it, and as numbers all runs of one to seven groups of digits with blanks, dashes and the like
between them. The filter says "perhaps": a hit
counts only after the same form was found among the source's originals.

Only originals that point at something are remembered: an address with @, alone or in a text, seven digits or more that are no date,
and values of identifying masks of at least eight characters with a space or a digit in them. A single word such as a last name or a town
is somebody's original and everybody's word; a check that cries wolf is ignored.
"""

from __future__ import annotations

import mmap
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from branchline.overlap import Aside
from branchline.sanitize.drawing import mostly_distinct, replaced
from branchline.sanitize.echoes import Echoes
from branchline.sanitize.texts import as_text

WORD = r"[\w]+(?:[.+'@%_\-]+\w+)*"
SEVERAL_DIGITS = r"[0-9](?:[^0-9]*[0-9]){6}"
WHOLE = r"^ *[+(]*([0-9]+|0*[0-9]{1,6}[ ./\-]0*[0-9]{1,6})$"
"""One group of digits, or two of which neither is long enough by itself: a number as a whole only."""
GROUPS = r"[0-9]+(?:[ \t\u00a0\u2000-\u200a\u202f\u3000()./_+\-\u2010-\u2015]{1,5}[0-9]+)*"
"""No commas, colons or lines between them: lists and times of day would become numbers that somebody has."""
MOMENT = (
    r"\b(19|20)[0-9]{2}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?)?\b"
)
LAST_PART = r"[.+'%_\-]+[^.+'%_\-@]+$"
"""Of an address: it may be a sentence's next word, or something that was put behind it."""
LAST_PARTS = 3
PLAIN = r"^\w+(?:[ .+'@%_\-]\w+)*$"
NO_ADDRESS = r"^\w+(?:[ .+'_\-]\w+)*$"
"""The same, and nothing in it is an address or an escape."""
SIMPLE = r"^[0-9_a-z]+(?:[ .+'@%\-][0-9_a-z]+)*$"
"""Its own normal form, of ASCII."""
ADDRESS = r"^[0-9_a-z]+(?:[.+'\-][0-9_a-z]+)*@[0-9_a-z]+(?:[.+'\-][0-9_a-z]+)*$"
"""Of those the ones that are one address and hold no escape."""
EDGES = " .,;:!?+-()/#'\"@%"
"""Some that are in no word's beginning or end."""
NUMBER = r"^ *[+(]*[0-9][0-9()./ \-]*$"
DATE = r"^(19|20)\d\d-?(0[1-9]|1[0-2])-?([0-2]\d|3[01])($|[T ]\d\d:|[T ]?([01]\d|2[0-3])[0-5]\d[0-5]\d$)"
"""Alone or with a time of day."""
LONGEST_RUN = 4
MOST_GROUPS = 7
FEWEST_DIGITS = 7
SHORTEST = 8
MOST_CLEAN = 1000
"""Values of a column that are remembered as searched."""
MOST_WAITING = 1
"""Masked blocks whose originals are still to be remembered: the last of them while the server has only its own work to do."""
_WORDS = 1 << 23
_NEAR = 1 << 14
"""Forms that are added together: their words are still near by when they are looked at again."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ONE = np.uint64(1)
_TELLING = (pl.col("form").str.len_chars() >= SHORTEST) & pl.col("form").str.contains(r"[ 0-9]")
_NOTHING = pl.Series("v", [], pl.String)
Numbers = npt.NDArray[Any]


def normal(values: pl.Series) -> pl.Series:
    """Words in small letters, one space between."""
    return _unless(SIMPLE, values, _lowered)


def _lowered(values: pl.Series) -> pl.Series:
    return _unless(PLAIN, values.str.to_lowercase(), _stripped)


def _stripped(values: pl.Series) -> pl.Series:
    return _unless(PLAIN, values.str.strip_chars(EDGES), _words)


def _words(values: pl.Series) -> pl.Series:
    return values.str.extract_all(WORD).list.join(" ")


def _unless(pattern: str, values: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Most match, and stay as they are; whether they do costs less than their change."""
    odd = ~values.str.contains(pattern)
    if not odd.any():
        return values
    return change(values) if odd.all() else replaced(values, odd, change(values.filter(odd)))


def telephone(values: pl.Series) -> pl.Series:
    """Digits only, without leading zeros; NULL where fewer than seven are left, it is a date, or more than a number."""
    text = pl.col("v")
    written = values.to_frame("v").with_columns(text.str.contains(NUMBER).alias("is"))
    if not written["is"].any():
        return pl.Series(values.name, [None], pl.String).new_from_index(0, values.len())
    numbers = written.select(pl.when(pl.col("is") & ~text.str.contains(DATE)).then(text)).to_series()
    return _digits(numbers)


def _digits(numbers: pl.Series) -> pl.Series:
    """Of texts that are numbers, and so of one line each: all at once, which takes a quarter of the time."""
    if numbers.is_empty():
        return numbers
    lines: str = numbers.fill_null("").str.join("\n").item()
    plain = lines.encode().translate(None, b" +()./-").decode()
    digits = pl.DataFrame({"v": [plain]}).select(
        pl.col("v").str.split("\n").explode().str.strip_chars_start("0")
    )
    long = pl.when(pl.col("v").str.len_bytes() >= FEWEST_DIGITS).then("v")
    return digits.select(long.alias(numbers.name)).to_series()


def telling(columns: Sequence[pl.Series], *, identifying: bool) -> pl.Series:
    """The forms by which originals are remembered: only those that point at something."""
    alone, others = [_NOTHING], [_NOTHING]
    for column in columns:
        values = column.drop_nulls() if column.null_count() else column
        values = values if mostly_distinct(values) else values.unique()
        (alone if values.len() and "@" in values[0] else others).append(values.alias("v"))
    written = pl.concat(alone, rechunk=True)
    address = written.str.contains(ADDRESS)
    found = [written.filter(address)]
    if not address.all():
        found.append(_told_apart(written.filter(~address), others))
    rest = pl.concat(others, rechunk=True)
    if not rest.is_empty():
        found += _pointing(rest, identifying=identifying)
    return pl.concat([each.alias("form") for each in found])


def _told_apart(written: pl.Series, others: list[pl.Series]) -> pl.Series:
    """The forms of those that are an address when they are normal. In others is more, or the @ is at an end and no part of a word."""
    forms = normal(unescaped(written))
    one = forms.str.contains("@", literal=True) & ~forms.str.contains(" ", literal=True)
    others.append(written.filter(~one))
    return forms.filter(one)


def _pointing(values: pl.Series, *, identifying: bool) -> list[pl.Series]:
    """Of texts: the forms that point at something, and the digits of those that are a number."""
    date = values.str.contains(DATE)
    number = values.str.contains(NUMBER) & ~date
    numbers = values.filter(number)
    digits = _digits(numbers)
    small = numbers.filter(digits.is_null())
    texts = pl.concat([values.filter(~number), small]).str.to_lowercase()
    odd = ~texts.str.contains(NO_ADDRESS)
    others = normal(unescaped(texts.filter(odd)))
    forms = replaced(texts, odd, others)
    pointing = [addresses(others), digits.drop_nulls()]
    if identifying:
        telling = forms.to_frame("form").select(_TELLING).to_series()
        pointing.append(forms.filter(telling & ~date.filter(~number).extend_constant(False, small.len())))
    return pointing


def addresses(forms: pl.Series) -> pl.Series:
    """All words with @ of normal forms."""
    some = forms.filter(forms.str.contains("@", literal=True))
    if some.is_empty():
        return some
    words = some.str.split(" ").explode()
    return words.filter(words.str.contains("@", literal=True))


class Filter:
    """A Bloom filter of 64 MiB, five bits per form in each of two words, hashed with a seed nobody keeps.

    With four million forms it errs about once in a thousand million, with twenty million about 15 times in a million.
    """

    def __init__(self) -> None:
        self._seed = secrets.randbits(63)
        memory = mmap.mmap(-1, 8 * _WORDS, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._words = np.frombuffer(memory, dtype=np.uint64)
        self._adding = Lock()
        self.empty = True

    def take_memory(self) -> None:
        """All of it at once, beside other work: else the first block waits for it, for its forms are all over the place. In pages of the
        usual size: NumPy's own arrays ask for large ones, the first of which took between 14 and 180 ms here where these take 28.
        """
        with self._adding:
            if self.empty:
                self._words.fill(0)

    def add(self, forms: pl.Series) -> None:
        if forms.is_empty():
            return
        hashes = forms.hash(self._seed).to_numpy()
        for first in range(0, hashes.size, _NEAR):
            one, other, bits = _places(hashes[first : first + _NEAR])
            with self._adding:
                self.empty = False
                self._set(one, bits)
                self._set(other, bits)

    def has(self, forms: pl.Series) -> pl.Series:
        """Which forms may have been added; the others were not."""
        if self.empty:
            return pl.Series([False], dtype=pl.Boolean).new_from_index(0, forms.len())
        one, other, bits = _places(forms.hash(self._seed).to_numpy())
        return pl.Series((self._words[one] & self._words[other] & bits) == bits)

    def _set(self, places: Numbers, bits: Numbers) -> None:
        """All at once, which takes one of several that meet in a word, and then again those that were not taken."""
        self._words[places] |= bits
        lost = (self._words[places] & bits) != bits
        np.bitwise_or.at(self._words, places[lost], bits[lost])


def _places(hashes: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Of each form by its hash: its two words, and its bits in both."""
    mixed = hashes * _MIX
    bits = _ONE << (mixed >> 58)
    for shift in (52, 46, 40, 34):
        bits |= _ONE << (mixed >> shift & 63)
    return (hashes & (_WORDS - 1)).view(np.int64), (hashes >> 41).view(np.int64), bits


class Originals:
    """What was masked, and what a keep-list let pass; `pool` remembers blocks that are masked already."""

    def __init__(self, pool: Executor) -> None:
        self.masked, self.passed = Filter(), Filter()
        self.echoes = Echoes()
        self.aside = Aside(pool, MOST_WAITING)

    def add(self, columns: Sequence[pl.Series], *, identifying: bool, keep: pl.Series | None) -> None:
        """Remembers a block's values of masked columns; rows of the keep-list pass, and their values with them."""
        if keep is not None:
            passed = [written(values.filter(keep)) for values in columns]
            self.passed.add(telling(passed, identifying=identifying))
            columns = [values.filter(~keep) for values in columns]
        self.masked.add(telling([written(values) for values in columns], identifying=identifying))


def written(values: pl.Series) -> pl.Series:
    """As text, whole numbers without a point; NULL for bytes that are none."""
    text = as_text(values)
    return text.str.strip_suffix(".0") if values.dtype.is_float() else text


class Clean:
    """Values in which nothing was found, so that a column of few values is searched once and not in each of its blocks."""

    def __init__(self) -> None:
        self._values = pl.Series([], dtype=pl.String)

    def others(self, values: pl.Series) -> pl.Series:
        """Those of the values that are not known to be clean."""
        return values.filter(~values.is_in(self._values.implode())) if self._values.len() else values

    def add(self, searched: pl.Series, found: pl.Series) -> None:
        """Several threads at once may forget what one of them has added."""
        if searched.len() <= MOST_CLEAN and self._values.len() <= MOST_CLEAN:
            clean = searched.filter(~searched.is_in(found.implode()))
            self._values = pl.concat([self._values, self.others(clean)])


def search(values: pl.Series, originals: Originals, *, inside: bool, clean: Clean) -> pl.DataFrame:
    """What one block of a column may hold of the originals: `row` (within the block) and `form`.

    `inside`: in pieces of its texts too. `clean`: the column's own.
    """
    nothing = pl.DataFrame(schema={"row": pl.UInt32, "form": pl.String})
    if values.dtype != pl.String or originals.masked.empty:
        return nothing
    there = values.drop_nulls() if values.null_count() else values
    distinct = clean.others(there if mostly_distinct(there) else there.unique())
    if distinct.is_empty():
        return nothing
    parts = [
        part for part in _parts(unescaped(distinct), inside=inside) if part["form"].null_count() < part.height
    ]
    hits = [part.filter(hit) for part in parts if (hit := originals.masked.has(part["form"])).any()]
    found = pl.concat([nothing.rename({"row": "text"}), *hits]).drop_nulls()
    found = found.filter(~originals.passed.has(found["form"]))
    named = found.select(distinct.gather(found["text"]).alias("value"), "form").unique()
    clean.add(distinct, named["value"])
    if named.is_empty():
        return nothing
    rows = pl.DataFrame({"value": values}).with_row_index("row")
    return rows.join(named, on="value", how="inner").select("row", "form")


def forms(texts: pl.Series, *, inside: bool) -> pl.DataFrame:
    """Every form that texts contain: the columns `text` (a position) and `form`."""
    return pl.concat(_parts(unescaped(texts), inside=inside)).drop_nulls()


def _parts(texts: pl.Series, *, inside: bool) -> list[pl.DataFrame]:
    """The forms by where in a text they are; NULL where there is none."""
    places = pl.int_range(texts.len(), eager=True, dtype=pl.UInt32)
    if not inside:
        return [pl.DataFrame({"text": places, "form": form}) for form in (normal(texts), telephone(texts))]
    numbers = _numbers(texts, places)
    one_word = texts.str.contains(f"^{WORD}$")
    if one_word.all():
        alone = _parts(texts, inside=False)
        return [*alone, *_cut_addresses(alone[0]), *numbers]
    alone = [
        part.select(places.filter(one_word).gather(part["text"]).alias("text"), "form")
        for part in _parts(texts.filter(one_word), inside=False)
    ]
    several = _all_forms(texts.filter(~one_word), places.filter(~one_word))
    return [*several, *alone, *_cut_addresses(alone[0]), *numbers]


def _all_forms(texts: pl.Series, places: pl.Series) -> list[pl.DataFrame]:
    """Of texts that hold several words: each whole, as a number, its runs of words."""
    words = pl.DataFrame({"text": places, "form": texts.str.to_lowercase().str.extract_all(WORD)})
    single = words.explode("form").drop_nulls()
    several = words.filter(pl.col("form").list.len() > 1)
    return [
        several.with_columns(pl.col("form").list.join(" ")),
        words.select("text").with_columns(telephone(texts).alias("form")).drop_nulls(),
        single,
        *_runs(several.explode("form"), LONGEST_RUN, " "),
        *_cut_addresses(single),
    ]


def _cut_addresses(words: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Words with @, without one, two and three of their last parts."""
    address = words.filter(pl.col("form").str.contains("@", literal=True))
    for _ in range(LAST_PARTS if address.height else 0):
        address = address.with_columns(pl.col("form").str.replace(LAST_PART, ""))
        yield address


def _numbers(texts: pl.Series, places: pl.Series) -> list[pl.DataFrame]:
    """Runs of groups of digits, in texts in which there may be more than they are as a whole."""
    some = texts.str.contains(SEVERAL_DIGITS) & ~texts.str.contains(WHOLE)
    if not some.any():
        return []
    written = texts.filter(some).str.replace_all(MOMENT, "at").str.extract_all(GROUPS)
    apart = pl.DataFrame({"text": places.filter(some), "form": written}).explode("form").drop_nulls()
    apart = apart.filter(apart["form"].str.len_bytes() >= FEWEST_DIGITS)
    groups = pl.DataFrame(
        {
            "text": pl.int_range(apart.height, eager=True, dtype=pl.UInt32),
            "form": apart["form"].str.extract_all("[0-9]+"),
        }
    ).explode("form")
    of_text, without_zeros = pl.lit(apart["text"]).gather("text"), pl.col("form").str.strip_chars_start("0")
    whole = groups.group_by("text", maintain_order=True).agg(pl.col("form").str.join(""))
    return [
        run.select(of_text.alias("text"), without_zeros).filter(
            pl.col("form").str.len_bytes() >= FEWEST_DIGITS
        )
        for run in (whole, groups, *_runs(groups, MOST_GROUPS, ""))
    ]


def _runs(single: pl.DataFrame, longest: int, between: str) -> Iterator[pl.DataFrame]:
    """What follows one another in a text, two at a time and more."""
    run = single
    for further in range(1, longest):
        follows = single.select(
            pl.col("form").shift(-further).alias("next"),
            (pl.col("text").shift(-further) == pl.col("text")).alias("same"),
        )
        if not follows["same"].any():
            return
        joined = pl.when(pl.col("same")).then(pl.concat_str("form", pl.lit(between), "next"))
        run = pl.concat([run, follows], how="horizontal").select("text", joined.alias("form"))
        yield run.drop_nulls()


def unescaped(texts: pl.Series) -> pl.Series:
    r"""JSON spells letters as \u00fc and / as \/, and addresses of pages @ as %40 and \u00fc as %C3%BC: as they read."""
    escaped = texts.str.contains(r"\\u[0-9a-fA-F]{4}|\\/|%[0-9a-fA-F]{2}").fill_null(value=False)
    if not escaped.any():
        return texts
    return pl.Series(
        [_plain(text) if odd else text for text, odd in zip(texts.to_list(), escaped.to_list(), strict=True)]
    )


def _plain(text: str) -> str:
    text = re.sub(r"(?:%[0-9a-fA-F]{2})+", _unquoted, text.replace("\\/", "/"))
    pairs = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found.group(1), 16)), text)
    return pairs.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unquoted(found: re.Match[str]) -> str:
    with suppress(UnicodeDecodeError):
        text = bytes.fromhex(found.group().replace("%", "")).decode()
        return text if text.isprintable() else found.group()
    return found.group()
