"""Values that look like a shop's, each a function of its row's number: the same on every machine and every engine."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def _words(text: str) -> Sequence[str]:
    return text.split()


FIRST_NAMES = _words(
    "James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica "
    "Thomas Sarah Charles Karen Christopher Lisa Daniel Nancy Matthew Betty Anthony Sandra Mark Margaret Donald Ashley "
    "Steven Kimberly Andrew Emily Paul Donna Joshua Michelle Kenneth Carol Kevin Amanda Brian Melissa George Deborah "
    "Timothy Stephanie Ronald Rebecca Jason Sharon Edward Laura Jeffrey Cynthia Ryan Dorothy Jacob Amy Gary Kathleen "
    "José Zoë Søren Łukasz Jürgen Chloé"
)
LAST_NAMES = _words(
    "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson "
    "Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young "
    "Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter "
    "Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers "
    "Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez "
    "Wood Bennett Gray Mendoza Ruiz Hughes Price Alvarez Castillo Sanders Patel Myers Long Ross Foster Jimenez O'Brien "
    "Müller Sørensen Dvořák"
)
STREETS = _words(
    "Oak Maple Cedar Elm Walnut Chestnut Spruce Willow Church Mill River Lake Hill Park Station Bridge Market King Queen "
    "Victoria Albert Garden Meadow Orchard Spring Forest Valley Sunset Highland Prospect"
)
WAYS = ("Street", "Avenue", "Road", "Lane", "Drive", "Court")
CITIES = _words(
    "Springfield Riverside Franklin Greenville Bristol Clinton Fairview Salem Madison Georgetown Arlington Ashland Dover "
    "Oxford Jackson Burlington Manchester Milton Newport Auburn Centerville Clayton Dayton Lexington Milford"
)
NOTES = (
    "prefers delivery before noon",
    "asked for paper invoices; leave parcels with the neighbour\\\\porch when nobody answers",
    "returns more than average, see the tickets of last autumn",
    "wholesale terms since the spring campaign",
    "called twice about a late parcel, was sent a voucher, all is well",
)
_FIRST_DAY = pl.datetime(2019, 1, 1)
_FIVE_YEARS = 5 * 365 * 86_400


def draw(salt: int, below: int) -> pl.Expr:
    """A number from 0 to below - 1 that depends on the row's `n` and the salt alone."""
    mixed = (pl.col("n").cast(pl.UInt64) + salt * 1_000_003) * 0x9E3779B97F4A7C15
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed // 2**shift)) * pl.lit(factor, pl.UInt64)
    return ((mixed ^ (mixed // 2**31)) % below).cast(pl.Int64)


def one_of(choices: Sequence[str], salt: int) -> pl.Expr:
    """One of some texts."""
    return pl.lit(pl.Series(choices)).gather(draw(salt, len(choices)))


def digits(salt: int, count: int) -> pl.Expr:
    """A text of digits."""
    return draw(salt, 10**count).cast(pl.String).str.zfill(count)


def amount(salt: int, below: int) -> pl.Expr:
    """A number with two decimals."""
    return draw(salt, below * 100) / 100


def moment(salt: int) -> pl.Expr:
    """A second in the years 2019 to 2023."""
    return _FIRST_DAY + pl.duration(seconds=draw(salt, _FIVE_YEARS))


def mostly_empty(value: pl.Expr, salt: int, percent: int) -> pl.Expr:
    """The value in some rows, NULL in the others."""
    return pl.when(draw(salt, 100) < percent).then(value)
