"""The order in which rows come, oldest first: by a column, where NULL comes first, and then by the primary key."""

from __future__ import annotations

from collections.abc import Sequence


def newest_first(by: str, key: Sequence[str], number: int) -> str:
    """What ends a query for the row that is so-manieth from the end."""
    falling = ", ".join(f"{name} DESC" for name in (by, *key))
    return f"ORDER BY {by} IS NULL, {falling} LIMIT 1 OFFSET {number - 1}"


def not_before(by: str, key: Sequence[str], mark: str | None, keys: Sequence[str]) -> str:
    """An SQL condition: a row is one whose values are `mark` (None for NULL) and `keys`, or comes after it."""
    there = f"({', '.join(key)}) >= ({', '.join(keys)})"
    return f"{by} IS NOT NULL OR {there}" if mark is None else f"{by} > {mark} OR ({by} = {mark} AND {there})"
