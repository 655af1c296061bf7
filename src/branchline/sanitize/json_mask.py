"""Masking inside JSON values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
import polars as pl

from branchline.sanitize.drawing import Draw
from branchline.sanitize.masks import TEXT, Unmaskable, catalogue, register

Step = str | int
PLAIN_KEY = re.compile(r"[^.\[\]*\"]+")
LONGEST_WHOLE = 18
"""Digits and sign of whole numbers that 64 bits hold, whichever they are."""


@register(
    fits=TEXT | {"json"},
    needs=frozenset({"paths"}),
    parameters={
        "paths": "path to mask: `$.street`, `$.items[*].name`, `$.meta.**`; the first that matches decides"
    },
    draws=False,
    unique=False,
    identifying=False,
)
def json_(values: pl.Series, draw: Draw) -> pl.Series:
    """Masks inside JSON by path; a path of the data that has no mask stops the sync; keep is a mask too, and keeps a number's digits. true
    and false become false, or what null or constant say. Keys are not masked.
    """
    distinct = values.unique()
    documents = [_parsed(text) for text in distinct.to_list()]
    leaves: dict[str, list[tuple[Any, Step]]] = {}
    for document in documents:
        for path, holder, step in _leaves(document, 0, "$"):
            leaves.setdefault(
                _pattern(tuple(draw.parameters["paths"]), re.sub(r"\[\d+\]", "[0]", path)), []
            ).append((holder, step))
    for pattern, places in leaves.items():
        _mask(places, draw.parameters["paths"][pattern], draw)
    texts = pl.Series([orjson.dumps(document[0], _as_it_was).decode() for document in documents])
    return values.replace_strict(distinct, texts, return_dtype=pl.String)


def _parsed(text: str) -> list[Any]:
    with suppress(ValueError, RecursionError, ArithmeticError):
        return [json.loads(text, parse_float=Decimal, parse_int=_whole)]
    raise Unmaskable("holds text that is not JSON")


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= LONGEST_WHOLE else Decimal(digits)


def _as_it_was(number: Decimal) -> orjson.Fragment:
    return orjson.Fragment(str(number))


def _leaves(holder: Any, step: Step, path: str) -> Iterator[tuple[str, Any, Step]]:
    """Every value that is no container, with what holds it and under which key or position. A key that could be taken for more than one
    is in brackets and quotes.
    """
    value = holder[step]
    if isinstance(value, dict):
        for key in value:
            written = f".{key}" if PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"
            yield from _leaves(value, key, f"{path}{written}")
    elif isinstance(value, list):
        for position in range(len(value)):
            yield from _leaves(value, position, f"{path}[{position}]")
    elif value is not None and value != "":
        yield path, holder, step


@lru_cache(maxsize=4096)
def _pattern(patterns: tuple[str, ...], path: str) -> str:
    found = next((pattern for pattern in patterns if _compiled(pattern).fullmatch(path)), None)
    if found is None:
        shown = (
            path
            if re.fullmatch(r"[A-Za-z0-9_$.\-\[\]]{1,200}", path) and not re.search(r"\d{5}", path)
            else "a path"
        )
        raise Unmaskable(f"holds JSON with {shown}, for which `paths` has no mask")
    return found


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\.?\*\*|\[\*\]|\.?\*)", pattern)
    any_key = r"[^.\[]+"
    meaning = {
        ".**": r"(?:[.\[].*)?",
        "**": ".*",
        "[*]": r"\[\d+\]",
        ".*": rf'(?:\.{any_key}|\["(?:[^"\\]|\\.)*"\])',
        "*": any_key,
    }
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL)


def _mask(places: list[tuple[Any, Step]], chosen: Any, draw: Draw) -> None:
    from branchline.sanitize.table import apply  # noqa: PLC0415 - the one that calls masks

    name = chosen if isinstance(chosen, str) else chosen["mask"]
    parameters = (
        {} if isinstance(chosen, str) else {key: value for key, value in chosen.items() if key != "mask"}
    )
    if name == "keep":
        return
    within = replace(draw, parameters=parameters, unique=False, person=None)
    for holder, step in places:
        if type(holder[step]) is bool:
            holder[step] = {"null": None, "constant": parameters.get("value")}.get(name, False)
    for kind in (str, int, Decimal):
        some = [(holder, step) for holder, step in places if type(holder[step]) is kind]
        if not some:
            continue
        plain = float if kind is Decimal else kind
        values = pl.Series([plain(holder[step]) for holder, step in some])
        for (holder, step), masked in zip(
            some, apply(catalogue()[name], values, within).to_list(), strict=True
        ):
            holder[step] = masked
