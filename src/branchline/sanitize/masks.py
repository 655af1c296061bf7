"""The catalogue of masks: one function each, found by name.

A mask gets the values of a column (no NULL, and no empty string unless it says so) and a `Draw`, and gives as many
values back. Its docstring is its line of documentation. Those that draw are asked again for every value that came out
as it went in.
"""

# ruff: noqa: ARG001 - every mask has the same two parameters

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import get_args

import polars as pl

from branchline.domain.schema import UUID_DIGITS, Kind
from branchline.sanitize.drawing import Digest, Draw, joined, permute, where

Apply = Callable[[pl.Series, Draw], pl.Series]
TEXT: frozenset[Kind] = frozenset({"text", "any"})
NUMBERS: frozenset[Kind] = frozenset({"integer", "number", "any"})
ANYTHING: frozenset[Kind] = frozenset(get_args(Kind))
TIMES: frozenset[Kind] = frozenset({"time"})
DOMAIN = "example.test"
MOST = 2**52 - 1
CENTS, DIGITS_OF_TINY = 2, 6
"""Digits behind the point of a number whose column does not say how many, and digits at all of one below 1."""
TOKEN = 40
APART = 16
"""Hexadecimal digits that keep unique values apart."""


@dataclass(frozen=True, slots=True)
class Mask:
    """One entry. `fits`: declared kinds of columns it may stand on; `parameters`: name to what it means; `needs`: which of
    them must be given. `draws`: a value that comes out as it went in is drawn again. `whole`: it gets NULLs and empty
    strings too. `unique`: it can keep the values of a unique column apart. `identifying`: its originals point at a person.
    """

    name: str
    doc: str
    apply: Apply
    fits: frozenset[Kind] = TEXT
    parameters: Mapping[str, str] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    draws: bool = True
    whole: bool = False
    unique: bool = True
    identifying: bool = True


class Unmaskable(Exception):  # noqa: N818 - says what the value is
    """A value that this mask does not understand; says what is wrong, never which value."""


_CATALOGUE: dict[str, Mask] = {}


def catalogue() -> Mapping[str, Mask]:
    """All masks by name."""
    from branchline.sanitize import json_mask  # noqa: F401, PLC0415 - adds itself

    return MappingProxyType(_CATALOGUE)


def register(
    *,
    fits: frozenset[Kind] = TEXT,
    needs: frozenset[str] = frozenset(),
    parameters: Mapping[str, str] = MappingProxyType({}),
    draws: bool = True,
    whole: bool = False,
    unique: bool = True,
    identifying: bool = True,
) -> Callable[[Apply], Apply]:
    """Puts a function into the catalogue under its own name (a trailing underscore left off)."""

    def add(apply: Apply) -> Apply:
        name = apply.__name__.rstrip("_")
        doc = " ".join((apply.__doc__ or "").split())
        _CATALOGUE[name] = Mask(name, doc, apply, fits, parameters, needs, draws, whole, unique, identifying)
        return apply

    return add


@register(fits=ANYTHING, draws=False, whole=True, identifying=False)
def keep(values: pl.Series, draw: Draw) -> pl.Series:
    """Passes values on as they are; say why with `reason`."""
    return values


@register(fits=ANYTHING, draws=False, whole=True)
def null(values: pl.Series, draw: Draw) -> pl.Series:
    """NULL in every row."""
    return pl.Series(values.name, [None], pl.String).new_from_index(0, values.len())


@register(draws=False, whole=True, unique=False)
def empty(values: pl.Series, draw: Draw) -> pl.Series:
    """An empty string; NULL stays NULL."""
    return where(values.is_null(), null(values, draw), pl.Series([""]).new_from_index(0, values.len()))


@register(
    fits=ANYTHING,
    needs=frozenset({"value"}),
    draws=False,
    unique=False,
    parameters={"value": "text or a whole number"},
)
def constant(values: pl.Series, draw: Draw) -> pl.Series:
    """The same `value` in every row that has one."""
    return pl.Series([draw.parameters["value"]]).new_from_index(0, values.len())


@register()
def email(values: pl.Series, draw: Draw) -> pl.Series:
    """An address under example.test with the names of the row's person; a function of the original address alone, in which
    case does not matter but for spelling, and always unique.
    """
    person = draw.person or draw.someone(values, "email")
    first, last = draw.pick_slug("first_name", person.first), draw.pick_slug("last_name", person.last)
    parts = first, ".", last, ".", person.digest.text(16, 48)
    spelled = person.identity != values
    if not spelled.any():
        return joined(*parts, "@" + DOMAIN)
    local = joined(*parts)
    return joined(
        where(spelled, _respelled(local, draw.digest(values, "email spelling")), local), "@" + DOMAIN
    )


def _respelled(local: pl.Series, digest: Digest) -> pl.Series:
    """Other capitals for another spelling of the same address: equal where case is ignored, apart where it is not."""
    bits = digest.hex.to_list()
    out: list[str | None] = []
    for text, word in zip(local.to_list(), bits, strict=True):
        if text is None or word is None:
            out.append(None)
            continue
        number = int(word, 16) | 1
        out.append("".join(c.upper() if number >> i & 1 else c for i, c in enumerate(text)))
    return pl.Series(out, dtype=pl.String)


IDENTITY = {
    "identity": "the column whose value says who the row is about, or `none`; default: the table's masked e-mail"
}


@register(parameters=IDENTITY)
def first_name(values: pl.Series, draw: Draw) -> pl.Series:
    """A first name: the one inside the row's masked e-mail, or by the original name where the row has no e-mail."""
    return _apart(draw.pick("first_name", _positions(values, draw, "first_name")), values, draw, "first_name")


@register(parameters=IDENTITY)
def last_name(values: pl.Series, draw: Draw) -> pl.Series:
    """A last name, chosen as first_name is."""
    return _apart(draw.pick("last_name", _positions(values, draw, "last_name")), values, draw, "last_name")


@register(parameters=IDENTITY)
def full_name(values: pl.Series, draw: Draw) -> pl.Series:
    """First and last name, chosen as first_name is."""
    first, last = (_positions(values, draw, kind, source="full_name") for kind in ("first_name", "last_name"))
    names = joined(draw.pick("first_name", first), draw.pick("last_name", last), between=" ")
    return _apart(names, values, draw, "full_name")


@register(parameters=IDENTITY)
def username(values: pl.Series, draw: Draw) -> pl.Series:
    """first.last.digits with the names of the row's person where every table with user names has one, else by the original
    alone, so that joins on user names hold.
    """
    first, last = (_positions(values, draw, kind, source="username") for kind in ("first_name", "last_name"))
    digits = draw.digest(values, "username digits").text(16 if draw.unique else 8)
    return joined(draw.pick_slug("first_name", first), draw.pick_slug("last_name", last), digits, between=".")


def _positions(values: pl.Series, draw: Draw, kind: str, source: str = "") -> pl.Series:
    """Positions in a pool of names: the person's, else by the value itself."""
    person = draw.person
    if person is not None and not person.digest.hex.null_count():
        return person.first if kind == "first_name" else person.last
    own = draw.digest(values, source or kind).word(0 if kind == "first_name" else 1)
    if person is None:
        return own
    theirs = person.first if kind == "first_name" else person.last
    return where(person.digest.hex.is_null(), own.cast(pl.Int64), theirs.cast(pl.Int64))


def _apart(picked: pl.Series, values: pl.Series, draw: Draw, kind: str) -> pl.Series:
    """For unique columns: 64 more bits of the original."""
    if not draw.unique:
        return picked
    return joined(picked, draw.digest(values, f"{kind} apart").text(16), between=" ")


@register()
def company(values: pl.Series, draw: Draw) -> pl.Series:
    """A company's name."""
    return _apart(draw.pick("company", draw.digest(values, "company").word(0)), values, draw, "company")


@register()
def street(values: pl.Series, draw: Draw) -> pl.Series:
    """A street with a house number."""
    digest = draw.digest(values, "street")
    number = (digest.word(1) % 9999 + 1).cast(pl.String)
    name = draw.pick("street", digest.word(0))
    english = draw.locale.startswith("en")
    return _apart(
        joined(number, name, between=" ") if english else joined(name, number, between=" "),
        values,
        draw,
        "street",
    )


@register(identifying=False)
def city(values: pl.Series, draw: Draw) -> pl.Series:
    """A town."""
    return _apart(draw.pick("city", draw.digest(values, "city").word(0)), values, draw, "city")


@register(identifying=False)
def postcode(values: pl.Series, draw: Draw) -> pl.Series:
    """A postcode in the locale's form."""
    return _apart(draw.pick("postcode", draw.digest(values, "postcode").word(0)), values, draw, "postcode")


@register(fits=TEXT | NUMBERS)
def phone(values: pl.Series, draw: Draw) -> pl.Series:
    """A number under +999, a country code that is not in use; where whole numbers are too small for that, any other number."""
    if values.dtype == pl.Int64 and (draw.unique or draw.highest is not None):
        return _permuted(values, draw, "phone")
    digest = draw.digest(values.cast(pl.String), "phone")
    digits = joined("999", digest.decimals(20)) if draw.unique else digest.number(9, leading=999)
    return digits.cast(pl.Int64) if values.dtype == pl.Int64 else joined("+", digits)


@register(fits=TEXT | {"ip"})
def ip(values: pl.Series, draw: Draw) -> pl.Series:
    """An address from 198.18.0.0/15, or from 2001:db8::/32 for IPv6 and in unique columns: ranges kept for tests."""
    digest = draw.digest(values, "ip")
    groups = [digest.text(4, 4 * at).str.strip_chars_start("0").str.replace("^$", "0") for at in range(4)]
    long = joined("2001:db8::1", *groups, between=":")
    if draw.unique:
        return long
    one, two, three = (digest.word(at) for at in range(3))
    short = joined(
        "198",
        (18 + one % 2).cast(pl.String),
        (two % 256).cast(pl.String),
        (1 + three % 254).cast(pl.String),
        between=".",
    )
    return where(values.str.contains(":", literal=True), long, short)


@register(
    parameters={"value": "put this, the hash of a password that testers know, into every row"}, unique=True
)
def password(values: pl.Series, draw: Draw) -> pl.Series:
    """Text that no password scheme takes for a hash, so nobody can log in; or `value`."""
    if "value" in draw.parameters:
        return constant(values, draw)
    return joined("!", draw.digest(values, "password").text(40))


@register(fits=TEXT | NUMBERS | {"uuid"})
def token(values: pl.Series, draw: Draw) -> pl.Series:
    """40 hexadecimal digits (where 32 fit, those of a random UUID); whole numbers from 0 to 2**52, or to the column's own highest, go through a keyed
    permutation, so unique keys stay unique.
    """
    if values.dtype == pl.Int64:
        return _permuted(values, draw, "token")
    digest = draw.digest(values.cast(pl.String), "token")
    if (
        draw.length == UUID_DIGITS
    ):  # MariaDB refuses some whose version and variant (digits 13 and 17) are none
        return joined(digest.text(12), "4", digest.text(3, 12), "8", digest.text(15, 15))
    return digest.text(TOKEN)


def _permuted(values: pl.Series, draw: Draw, kind: str) -> pl.Series:
    highest = min(draw.highest or MOST, MOST)
    if not values.is_between(0, highest).all():
        raise Unmaskable(f"holds whole numbers below 0 or above {highest}")
    return permute(values, draw, kind, highest)


@register()
def path(values: pl.Series, draw: Draw) -> pl.Series:
    """A file's path as a placeholder of that file is named: its folder stays, its name becomes 32 hexadecimal digits."""
    parts = values.str.extract_groups(r"(?s)^(.*/)?([^/]*)$").struct.unnest()
    folder, name = parts.to_series(0).fill_null(""), parts.to_series(1)
    ending = name.str.extract(r"[^.](\.[0-9A-Za-z]{1,5})$").str.to_lowercase().fill_null("")
    return joined(folder, draw.digest(name, "file name").text(32), ending)


@register()
def text(values: pl.Series, draw: Draw) -> pl.Series:
    """Sentences that mean nothing, about as many as there were."""
    digest = draw.digest(values, "text")
    wanted = (values.str.len_chars() // 60).clip(0, 5)
    lines = draw.pick("sentence", digest.word(0))
    for number in range(1, 6):
        longer = joined(lines, draw.pick("sentence", digest.word(number)), between=" ")
        lines = where(wanted >= number, longer, lines)
    return _apart(lines, values, draw, "text")


BLANK = r" \t\u00a0\u2000-\u200a\u202f\u3000"
"""Between the digits of a number in one line."""
EMAIL_IN_TEXT = r"(?i)[\w.%+'\-]+@[\w\-]+(?:\.[\w\-]+)+"
CARD_IN_TEXT = rf"\b\d(?:[{BLANK}_\-]?\d){{12,18}}\b"
PHONE_IN_TEXT = rf"\+?\(?\d(?:[{BLANK}()./_\-\u2010-\u2015]{{0,5}}\d){{6,}}"


@register(draws=False, unique=False, identifying=False)
def redact(values: pl.Series, draw: Draw) -> pl.Series:
    """Leaves free text as it is but for e-mail addresses, card and phone numbers (anything of seven digits or more), which
    become [e-mail], [card] and [phone].
    """
    values = values.str.replace_all(EMAIL_IN_TEXT, "[e-mail]").str.replace_all(CARD_IN_TEXT, "[card]")
    return values.str.replace_all(PHONE_IN_TEXT, "[phone]")


@register(
    fits=TEXT | NUMBERS,
    needs=frozenset({"percent"}),
    parameters={"percent": "how far at most, 1 to 100"},
    unique=False,
    identifying=False,
)
def number_noise(values: pl.Series, draw: Draw) -> pl.Series:
    """The number, up to `percent` more or less, and never more than the column holds; a whole number stays whole, what was not
    negative stays so.
    """
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() > values.null_count():
        raise Unmaskable("holds text where number_noise needs numbers")
    whole = numbers == numbers.round()
    digits = CENTS if draw.scale is None else draw.scale

    def rounded(moved: pl.Series) -> pl.Series:
        fine = moved.round(digits)
        if draw.scale is None:
            fine = where(numbers.abs() < 1, moved.round_sig_figs(DIGITS_OF_TINY), fine)
        return where(whole, moved.round(), fine)

    least = pl.select(pl.when(whole).then(1.0).otherwise(10.0**-digits)).to_series()
    chance = draw.digest(values.cast(pl.String), "number_noise").word(0).cast(pl.Float64) / 2**31 - 1
    down = (chance < 0) & (numbers >= least)
    moved = rounded(numbers * (1 + chance * (float(draw.parameters["percent"]) / 100)))
    moved = where(moved == numbers, rounded(numbers + where(down, least * -1, least)), moved)
    if draw.highest is not None:
        beyond = moved.abs() > (draw.highest + 1) - least
        moved = where(beyond, rounded(2 * numbers - moved), moved)
    if whole.all():
        moved = moved.cast(pl.Int64)
    return moved.cast(pl.String).str.strip_suffix(".0") if values.dtype == pl.String else moved


@register(
    fits=TEXT | NUMBERS | TIMES,
    needs=frozenset({"days"}),
    parameters={
        "days": "how far at most",
        "unit": "`seconds` or `milliseconds`, of whole numbers; default: by their size",
        **IDENTITY,
    },
    unique=False,
    identifying=False,
)
def date_shift(values: pl.Series, draw: Draw) -> pl.Series:
    """The date (ISO text, or seconds or milliseconds since 1970) moved by up to `days` either way, never by none; all dates of
    one person by the same, so that the time between them holds.
    """
    reach = int(draw.parameters["days"])
    person = draw.person
    own = draw.digest(values.cast(pl.String), "date_shift").word(0)
    number = own if person is None else where(person.digest.hex.is_null(), own, person.digest.word(7))
    days = (number % (2 * reach)).cast(pl.Int64) - reach
    days = where(days >= 0, days + 1, days)
    if values.dtype == pl.Int64:
        return values + days * (86_400_000 if _in_milliseconds(values, draw) else 86_400)
    if values.dtype != pl.String:
        raise Unmaskable("holds fractions where date_shift needs dates")
    return _shifted(values, days)


def _in_milliseconds(values: pl.Series, draw: Draw) -> bool:
    """Seconds are below 10**10 until 2286, milliseconds above it since April 1970."""
    if "unit" in draw.parameters:
        return bool(draw.parameters["unit"] == "milliseconds")
    there = values.filter(values != 0)
    large = there.abs() > 10**10
    if large.any() and not large.all():
        raise Unmaskable("holds dates that could be seconds or milliseconds (say which by `unit`)")
    return bool(large.any())


LAST_YEAR = 9999
CLOCK = r"^.{10}([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)? ?(Z|[+-]\d\d(:?\d\d){0,2})?( BC)?$"
"""A time of day and a zone, and nothing else, behind a date."""


def _shifted(values: pl.Series, days: pl.Series) -> pl.Series:
    day = values.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    if day.null_count() > values.null_count():
        raise Unmaskable("holds text that is not a date like 2026-01-31")
    if not values.str.contains(CLOCK).all():
        raise Unmaskable("holds text behind a date")
    shift = pl.Series([timedelta(days=1)]).new_from_index(0, values.len()) * days
    moved = day + shift
    moved = where(moved.dt.year().is_between(1, LAST_YEAR), moved, day - shift)
    return joined(moved.dt.to_string("%Y-%m-%d"), values.str.slice(10))
