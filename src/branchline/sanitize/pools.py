"""Invented values to pick from: Faker fills a pool once per locale and kind, always with the same values.

Nothing in a pool depends on the data or on the key; which value stands for which original does.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from functools import lru_cache
from threading import RLock

import polars as pl
from faker import Faker
from faker.config import AVAILABLE_LOCALES

_DRAWN = {
    "first_name": ("first_name", 1500),
    "last_name": ("last_name", 1500),
    "company": ("company", 1500),
    "street": ("street_name", 1000),
    "city": ("city", 1000),
    "postcode": ("postcode", 1500),
    "sentence": ("sentence", 300),
}


_MAKING = RLock()
"""Tables are masked several at once, and each pool is made once."""


def knows(locale: str) -> bool:
    """Whether Faker has this locale."""
    return locale in AVAILABLE_LOCALES


def pool(locale: str, kind: str) -> pl.Series:
    """Distinct invented values of one kind, sorted."""
    with _MAKING:
        return _pool(locale, kind)


def slugs(locale: str, kind: str) -> pl.Series:
    """The same pool as parts of an e-mail address: a-z and 0-9 only, value for value."""
    with _MAKING:
        return _slugs(locale, kind)


@lru_cache(maxsize=64)
def _pool(locale: str, kind: str) -> pl.Series:
    provider, draws = _DRAWN[kind]
    faker = _faker(locale)
    faker.seed_instance(zlib.crc32(f"{locale} {kind}".encode()))
    draw = getattr(faker, provider)
    return pl.Series(kind, sorted({" ".join(str(draw()).split()) for _ in range(draws)} - {""}))


@lru_cache(maxsize=16)
def _slugs(locale: str, kind: str) -> pl.Series:
    return pl.Series(kind, [_slug(value) for value in _pool(locale, kind).to_list()])


@lru_cache(maxsize=4)
def _faker(locale: str) -> Faker:
    """Names that are equally likely are found in a fifth of the time, a few providers in half of what all take."""
    providers = [f"faker.providers.{name}" for name in ("address", "company", "lorem", "person")]
    return Faker(locale, providers, use_weighting=False)


def _slug(value: str) -> str:
    plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain) or f"x{zlib.crc32(value.encode()):08x}"
