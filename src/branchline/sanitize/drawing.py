"""Keyed picks: from an original to an invented value, the same everywhere, and no way back without the key.

BLAKE3 of a sub-key per kind of value and the original, in this order, which is a keyed pseudo-random function for BLAKE3
(measured at two thirds of the time of HMAC-SHA256); 256 bits per original, of which picks take 32 each and unique values 64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import polars_hash  # noqa: F401 - gives expressions their `chash` namespace

from branchline.sanitize import pools

SAMPLE = 2000
"""Values of a column, about, by which it is judged whether most differ."""


def sub_key(key: bytes, kind: str) -> str:
    """The key for one kind of value, as the text that is hashed before the original: 128 bits in 22 characters, which leave room for
    most originals in BLAKE3's one block of 64 bytes.
    """
    derived = hmac.new(key, kind.encode(), hashlib.sha256).digest()
    return base64.b64encode(derived[:16]).decode().rstrip("=")


_WORDS = [
    pl.col("hex").str.slice(8 * number, 8).str.to_integer(base=16, dtype=pl.UInt32) for number in range(8)
]


@dataclass(frozen=True, slots=True)
class Digest:
    """Keyed hashes of a column, NULL where the value is."""

    hex: pl.Series

    def word(self, number: int) -> pl.Series:
        """The number-th 32 bits (0 to 7)."""
        return self.hex.to_frame("hex").select(_WORDS[number]).to_series()

    def text(self, digits: int, start: int = 0) -> pl.Series:
        return self.hex.str.slice(start, digits)

    def number(self, digits: int, leading: int) -> pl.Series:
        """A decimal number of at most 18 digits behind leading ones, as text."""
        below: int = 10**digits
        number = pl.col("hex").str.slice(0, 15).str.to_integer(base=16, dtype=pl.UInt64)
        text = (number % below + leading * below).cast(pl.String)
        return self.hex.to_frame("hex").select(text).to_series()

    def decimals(self, digits: int) -> pl.Series:
        """A decimal number with leading zeros, about 3.3 bits a digit."""
        parts = []
        for at, start in enumerate(range(0, digits, 9)):
            size = min(9, digits - start)
            number = self.hex.str.slice(15 * at, 15).str.to_integer(base=16, dtype=pl.UInt64) % 10**size
            parts.append(number.cast(pl.String).str.zfill(size))
        return joined(*parts)


@dataclass(frozen=True, slots=True)
class Person:
    """Who a row is about, drawn from its identity column: positions in the pools of names; NULL where a row has none.

    `identity`: as it was hashed, without spaces around it and in small letters.
    """

    first: pl.Series
    last: pl.Series
    digest: Digest
    identity: pl.Series


@dataclass(frozen=True, slots=True)
class Draw:
    """What a mask draws with for one column of one block.

    `attempt` counts from 0 and rises for values that came out as they went in. `unique`: two originals must not meet.
    `length`, `highest`, `scale`: what the column can hold.
    """

    key: bytes
    locale: str = "en_US"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    unique: bool = False
    attempt: int = 0
    person: Person | None = None
    length: int | None = None
    highest: int | None = None
    scale: int | None = None

    def digest(self, values: pl.Series, kind: str) -> Digest:
        """Keyed hashes of text; equal values of a block are hashed once."""
        subkey = sub_key(self.key, f"{kind}/{self.attempt}" if self.attempt else kind)
        values = values.alias("v")
        if mostly_distinct(values):
            return Digest(_keyed(values, subkey))
        distinct = values.unique()
        hashed = pl.DataFrame({"v": distinct, "h": _keyed(distinct, subkey)})
        column = values.to_frame().join(hashed, on="v", how="left", nulls_equal=True, maintain_order="left")
        return Digest(column["h"])

    def pick(self, kind: str, numbers: pl.Series) -> pl.Series:
        """Values of a pool by any number."""
        return self._gather(pools.pool(self.locale, kind), numbers)

    def pick_slug(self, kind: str, numbers: pl.Series) -> pl.Series:
        return self._gather(pools.slugs(self.locale, kind), numbers)

    def again(self) -> Draw:
        """For what came out as it went in: other hashes, and not the row's person."""
        return replace(self, attempt=self.attempt + 1, person=None)

    def rows(self, wanted: pl.Series) -> Draw:
        """The same for some of the block's rows."""
        if self.person is None:
            return self
        person = self.person
        some = Person(
            person.first.filter(wanted),
            person.last.filter(wanted),
            Digest(person.digest.hex.filter(wanted)),
            person.identity.filter(wanted),
        )
        return replace(self, person=some)

    def someone(self, identity: pl.Series, kind: str = "person") -> Person:
        """The person behind identities (e-mail addresses, user names), avoiding names that the identity itself contains."""
        normal = identity.to_frame("v").select(pl.col("v").str.strip_chars().str.to_lowercase()).to_series()
        if (normal == "").any():
            own = pl.when(identity != "").then(
                identity
            )  # of blanks only: no name, yet not the same as nothing
            normal = pl.select(pl.when(normal != "").then(normal).otherwise(own)).to_series()
        digest = self.digest(normal, kind)
        first, last = (
            self._avoiding(pool, normal, digest, start)
            for pool, start in (("first_name", 0), ("last_name", 3))
        )
        return Person(first, last, digest, normal)

    def _avoiding(self, kind: str, identity: pl.Series, digest: Digest, start: int) -> pl.Series:
        """The first of three names in a row that an identity does not contain, else the third."""
        slugs = pools.slugs(self.locale, kind)
        one = digest.word(start) % slugs.len()
        clash = _contains(identity, slugs.gather(one))
        if not clash.any():
            return one
        few, again = identity.filter(clash), Digest(digest.hex.filter(clash))
        two, three = (again.word(start + further) % slugs.len() for further in (1, 2))
        return replaced(one, clash, where(_contains(few, slugs.gather(two)), three, two))

    @staticmethod
    def _gather(values: pl.Series, numbers: pl.Series) -> pl.Series:
        return values.gather(numbers % values.len())


def mostly_distinct(values: pl.Series) -> bool:
    """Whether looking for equal values costs more than it saves. An estimate from how many of a sample meet: of n values that are
    equally likely to be any of N, n * n / 2N do, and a column of so many rows holds more than half as many values where N > 0.63 rows.
    """
    some = values.gather_every(max(1, values.len() // SAMPLE))
    met = some.len() - some.n_unique()
    return 1.26 * met * values.len() < some.len() ** 2


def joined(*parts: pl.Series | str, between: str = "") -> pl.Series:
    """Text side by side, NULL where any part is."""
    frame = pl.DataFrame({f"p{at}": part for at, part in enumerate(parts) if isinstance(part, pl.Series)})
    pieces = [pl.lit(part) if isinstance(part, str) else pl.col(f"p{at}") for at, part in enumerate(parts)]
    return frame.select(pl.concat_str(pieces, separator=between).alias("joined")).to_series()


def where(condition: pl.Series, yes: pl.Series, no: pl.Series) -> pl.Series:
    """Row by row one or the other; a NULL condition counts as no."""
    return no.zip_with(~condition.fill_null(value=False), yes)


def replaced(values: pl.Series, rows: pl.Series, others: pl.Series) -> pl.Series:
    """The others, in their order, in those rows; a row that is NULL in `rows` keeps its value."""
    return values.clone().scatter(rows.arg_true(), others)  # scatter changes what it is asked of


def _contains(texts: pl.Series, parts: pl.Series) -> pl.Series:
    both = pl.DataFrame([texts.alias("text"), parts.alias("part")])
    return both.select(
        pl.col("text").str.contains(pl.col("part"), literal=True).fill_null(value=False)
    ).to_series()


def permute(values: pl.Series, draw: Draw, kind: str, highest: int) -> pl.Series:
    """A keyed permutation of the whole numbers from 0 to highest that leaves none where it is: encrypted, one further, and decrypted.

    What encrypts is a balanced Feistel network of six keyed rounds, walked until it is back among them.
    """
    encrypted = _walked(values, draw, kind, highest, range(6))
    further = (encrypted + 1) % (highest + 1)
    return _walked(further, draw, kind, highest, range(5, -1, -1))


def _walked(values: pl.Series, draw: Draw, kind: str, highest: int, rounds: range) -> pl.Series:
    half = (highest.bit_length() + 1) // 2
    out = _feistel(values, draw, kind, half, rounds)
    while (beyond := out > highest).any():
        out = out.scatter(beyond.arg_true(), _feistel(out.filter(beyond), draw, kind, half, rounds))
    return out


def _feistel(values: pl.Series, draw: Draw, kind: str, half: int, rounds: range) -> pl.Series:
    """Rounds that count down take back those that count up."""
    mask, back = (1 << half) - 1, rounds.step < 0
    left, right = values // (1 << half), values & mask
    for number in rounds:
        known, other = (left, right) if back else (right, left)
        keyed = draw.digest(known.cast(pl.String), f"{kind}/round {number}").word(0).cast(pl.Int64) & mask
        left, right = (other ^ keyed, known) if back else (known, other ^ keyed)
    return left * (1 << half) + right


def _keyed(values: pl.Series, subkey: str) -> pl.Series:
    expression: Any = pl.concat_str(pl.lit(subkey), pl.col("v"))
    return values.to_frame("v").select(expression.chash.blake3().alias("h"))["h"]
