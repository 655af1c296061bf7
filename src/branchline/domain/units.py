"""Durations and sizes as people write them in configuration."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", re.ASCII)
_SIZE = re.compile(r"(\d{1,15})\s?(|B|KiB|MiB|GiB|TiB)", re.ASCII)


def parse_duration(value: Any) -> float:
    """Seconds of `30`, `"90s"`, `"15m"`, `"2h"`, `"14d"`. Raises ValueError, saying how to write one."""
    if match := _DURATION.fullmatch(_number_as_text(value)):
        number, unit = match.groups()
        return float(number) * _SECONDS[unit or "s"]
    raise ValueError("must be a duration: seconds, or a number with s, m, h or d, such as 90s, 15m or 2h")


def parse_size(value: Any) -> int:
    """Bytes of `4096`, `"10MiB"`, `"2GiB"`. Raises ValueError, saying how to write one."""
    if match := _SIZE.fullmatch(_number_as_text(value)):
        number, unit = match.groups()
        return int(number) * _BYTES[unit]
    raise ValueError("must be a size: bytes, or a whole number with KiB, MiB, GiB or TiB, such as 10MiB")


def _number_as_text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


Seconds = Annotated[float, BeforeValidator(parse_duration)]
"""A field in seconds that may be written as any duration."""

Bytes = Annotated[int, BeforeValidator(parse_size)]
"""A field in bytes that may be written as any size."""
