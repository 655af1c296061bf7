"""Freeze windows: times in which nothing is released to a tier.

The text under each field is its description in the configuration reference; windows are data in config/plans.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, with_config

from branchline.domain.app import FORBID_UNKNOWN
from branchline.domain.calendar import at_wall, check_zone, local, read_calendar
from branchline.domain.units import Seconds
from branchline.errors import BadInput

_WALL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_DAY = timedelta(days=1)
LONGEST = 366 * 86400.0
_calendar = lru_cache(maxsize=256)(read_calendar)


def _wall(value: Any) -> Any:
    """A local time. Raises ValueError, saying how it is written."""
    try:
        if value is None or isinstance(value, datetime):
            return value
        if isinstance(value, str) and _WALL.fullmatch(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("must be a local date and time, such as 2026-12-20 18:00")


def _zone(value: Any) -> Any:
    try:
        return check_zone(value, value) if isinstance(value, str) else value
    except BadInput as error:
        raise ValueError(f"is no time zone; {error.hint}") from None


WallTime = Annotated[datetime | None, BeforeValidator(_wall)]


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class FreezeWindow:
    """A time in which nothing is released: once, `from` to `until`; or again and again, `every` so often `for` so long."""

    reason: str
    """Why; told to whoever is held up by it."""
    zone: Annotated[str, BeforeValidator(_zone)]
    """The time zone in which its times are meant, such as Europe/Berlin."""
    from_: Annotated[WallTime, Field(alias="from")] = None
    """When it begins, in local time: 2026-12-20 18:00."""
    until: WallTime = None
    """When it ends, in local time."""
    every: str | None = None
    """When it begins each time: every Friday 16:00, or an RRULE."""
    for_: Annotated[Seconds | None, Field(alias="for")] = None
    """How long it lasts each time: whole days are days of the calendar there, the rest is time that passes."""
    may_override: tuple[str, ...] = ()
    """Who may release all the same, with a reason; nobody, where it is empty."""

    def __post_init__(self) -> None:
        """Raises ValueError, saying what contradicts itself."""
        once, again = (self.from_, self.until), (self.every, self.for_)
        if (None in once) == (None in again) or (any(once) and any(again)):
            raise ValueError("must have either `from` and `until`, or `every` and `for`")
        if self.from_ and self.until and self.until <= self.from_:
            raise ValueError(f"has `until` {self.until:%Y-%m-%d %H:%M}, which is not after `from`")
        if self.for_ is not None and not 0 < self.for_ <= LONGEST:
            raise ValueError("has a `for` that is not between 1s and 366d")
        try:
            if self.every is not None and _calendar(self.every, self.zone).zone != self.zone:
                raise ValueError("names another zone in `every` than in `zone`")
        except BadInput as error:
            raise ValueError(f"has an `every` that is none: {error.message} {error.hint}") from None

    def end(self, at: datetime) -> datetime | None:
        """When the freeze ends that is on at a moment, in UTC; None when none is on. Its end is not frozen any more."""
        zone = ZoneInfo(self.zone)
        if self.from_ is not None and self.until is not None:
            begins, ends = at_wall(self.from_, zone), at_wall(self.until, zone)
            return ends if begins <= at < ends else None
        assert self.every is not None
        assert self.for_ is not None
        longest = timedelta(seconds=self.for_) + 2 * _DAY
        starts = list(_calendar(self.every, self.zone).between(at - longest, at))
        ends = max((_after(each, self.for_, zone) for each in starts), default=at)
        return ends if ends > at else None


def frozen(windows: Sequence[FreezeWindow], at: datetime) -> tuple[FreezeWindow, datetime] | None:
    """Of the windows that are on at a moment, the one that ends last, and when (UTC)."""
    return max(all_frozen(windows, at), key=lambda each: each[1], default=None)


def all_frozen(windows: Sequence[FreezeWindow], at: datetime) -> tuple[tuple[FreezeWindow, datetime], ...]:
    """Every window that is on at a moment, and when each ends (UTC). Who overrides must be allowed to by all of them."""
    return tuple((each, end) for each in windows if (end := each.end(at)) is not None)


def _after(start: datetime, seconds: float, zone: ZoneInfo) -> datetime:
    days, rest = divmod(timedelta(seconds=seconds), _DAY)
    wall = local(start, zone) + days * _DAY
    return (start if not days else at_wall(wall, zone)).astimezone(UTC) + rest
