"""Columns as text, whatever they hold."""

from __future__ import annotations

from contextlib import suppress

import polars as pl


def as_text(values: pl.Series) -> pl.Series:
    """Numbers and bytes too; NULL for bytes that are no text, which Polars refuses to leave out by itself."""
    if values.dtype != pl.Binary:
        return values if values.dtype == pl.String else values.cast(pl.String)
    with suppress(pl.exceptions.ComputeError):
        return values.cast(pl.String)
    return pl.Series(values.name, map(_decoded, values), pl.String)


def _decoded(value: bytes | None) -> str | None:
    with suppress(UnicodeDecodeError):
        return None if value is None else value.decode()
    return None
