"""What comes again, in local time and without a zone: RFC 5545 rules over naive dates and times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise, takewhile
from typing import Any

from dateutil import rrule

ANCHOR = datetime(2024, 1, 1)  # noqa: DTZ001 - local time, wherever it is
"""A Monday. Intervals are counted from it where a rule has no DTSTART."""
SMALLEST_GAP = timedelta(minutes=5)
LAST_YEAR = 9998
_GREGORIAN_CYCLE = 400
_MOST_GAPS = 400
_DAY_OF_EVERY_MONTH = 28

FREQUENCIES = {
    "YEARLY": rrule.YEARLY,
    "MONTHLY": rrule.MONTHLY,
    "WEEKLY": rrule.WEEKLY,
    "DAILY": rrule.DAILY,
    "HOURLY": rrule.HOURLY,
    "MINUTELY": rrule.MINUTELY,
}
WEEKDAYS = {"MO": rrule.MO, "TU": rrule.TU, "WE": rrule.WE, "TH": rrule.TH, "FR": rrule.FR, "SA": rrule.SA, "SU": rrule.SU}  # fmt: skip
_NUMBERS = {
    "BYMONTH": (1, 12, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
    "INTERVAL": (1, 1000, False),
}
"""The smallest and the largest number of each part, and whether one can be counted from the end, with a minus."""
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY", "HOURLY", "MINUTELY"),
    "BYMONTHDAY": ("YEARLY", "MONTHLY", "DAILY", "HOURLY", "MINUTELY"),
    "BYSETPOS": ("YEARLY", "MONTHLY", "WEEKLY", "DAILY"),
}
_PARTS = ("FREQ", "BYDAY", "WKST", "UNTIL", *_NUMBERS)
_MOMENT = re.compile(r"(\d{8})(?:T(\d{4}|\d{6})(Z?))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule of `dateutil`'s, as its arguments, and the local time from which it counts."""

    frequency: int
    arguments: Mapping[str, Any]
    begin: datetime = ANCHOR

    def since(self, start: datetime) -> Iterator[datetime]:
        """Its local times from `start` on, rising, up to the end of the calendar or of the rule."""
        times = self._rule(self._near(start)).xafter(start, inc=True)
        return takewhile(lambda each: each.year <= LAST_YEAR, times)

    def problem(self) -> str | None:
        """Why it is no use, in words; None when it is one."""
        try:
            far = self._rule(self._far(), until=None)
            if next(iter(far), None) is None or (first := next(self.since(self.begin), None)) is None:
                return "never comes"
        except (ValueError, OverflowError) as error:
            return f"is refused: {str(error).lower()}"
        near = takewhile(
            lambda each: each <= first + timedelta(days=366), islice(self.since(first), _MOST_GAPS)
        )
        return too_often(list(near))

    def _rule(self, begin: datetime, **changed: Any) -> rrule.rrule:
        arguments = {**self.arguments, **changed}
        return rrule.rrule(self.frequency, dtstart=begin, **arguments)  # type: ignore[arg-type] # its stub has Literals

    def _far(self) -> datetime:
        """In the last such year of the Gregorian cycle: from there a rule that never comes is known after few years."""
        cycles = (LAST_YEAR - self.begin.year) // _GREGORIAN_CYCLE
        return self.begin.replace(year=self.begin.year + cycles * _GREGORIAN_CYCLE)

    def _near(self, start: datetime) -> datetime:
        """The last moment before `start` from which counting gives the same: a rule need not be run from its beginning."""
        interval = self.arguments.get("interval", 1)
        steps = {
            rrule.WEEKLY: timedelta(weeks=interval),
            rrule.DAILY: timedelta(days=interval),
            rrule.HOURLY: timedelta(hours=interval),
            rrule.MINUTELY: timedelta(minutes=interval),
        }
        step = steps.get(self.frequency)
        if step is not None:
            return self.begin + max(0, (start - self.begin) // step - 1) * step
        if self.begin.day > _DAY_OF_EVERY_MONTH:
            return self.begin
        months = interval if self.frequency == rrule.MONTHLY else 12 * interval
        passed = 12 * (start.year - self.begin.year) + start.month - self.begin.month
        month = self.begin.month - 1 + max(0, passed // months - 1) * months
        return self.begin.replace(year=self.begin.year + month // 12, month=month % 12 + 1)


def too_often(times: list[datetime]) -> str | None:
    """Why these are too close to one another, in words; None when they are not."""
    gap = min((after - before for before, after in pairwise(times)), default=SMALLEST_GAP)
    return None if gap >= SMALLEST_GAP else "comes more often than every 5 minutes"


def read_rule(text: str, zone: tzinfo) -> Recurrence:
    """`RRULE:FREQ=WEEKLY;BYDAY=TU;BYHOUR=14;BYMINUTE=0`, with `DTSTART:20260105T140000` before it where that matters.

    Raises ValueError, saying what is wrong with it. UNTIL may be in UTC, with a Z; `zone` is what it is turned into.
    """
    begin = ANCHOR
    words = text.upper().split()
    if words and words[0].startswith("DTSTART:"):
        begin = _local(words.pop(0).removeprefix("DTSTART:"), "DTSTART", None, time.min)
        if begin < ANCHOR.replace(year=1970):
            raise ValueError("has a DTSTART before 1970")
    if len(words) != 1 or not words[0].startswith("RRULE:"):
        raise ValueError("must be RRULE:FREQ=..., in one word")
    given = _pairs(words[0].removeprefix("RRULE:"))
    frequency = given.pop("FREQ", "")
    if frequency not in FREQUENCIES:
        often = " comes more often than every 5 minutes" if frequency == "SECONDLY" else ""
        raise ValueError(f"has FREQ={frequency}{often}; there are: {', '.join(FREQUENCIES)}")
    arguments = {_argument(name): _value(name, value, frequency, zone) for name, value in given.items()}
    arguments.setdefault("bysecond", (0,))
    return Recurrence(FREQUENCIES[frequency], arguments, begin)


def _pairs(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.strip(";").split(";"):
        name, sign, value = part.partition("=")
        if not sign or not value:
            raise ValueError(f"has {part!r}, which is not NAME=VALUE")
        if name == "COUNT":
            raise ValueError("has COUNT; say UNTIL=20261231, which means the same whenever it is asked")
        if name not in _PARTS:
            raise ValueError(f"has an unknown part {name!r}; there are: {', '.join(_PARTS)}")
        if name in given:
            raise ValueError(f"has {name} twice")
        given[name] = value
    return given


def _argument(name: str) -> str:
    return {"BYDAY": "byweekday"}.get(name, name.lower())


def _value(name: str, value: str, frequency: str, zone: tzinfo) -> Any:
    if frequency not in _ONLY_WITH.get(name, (frequency,)):
        raise ValueError(f"has {name} with FREQ={frequency}; it goes with {', '.join(_ONLY_WITH[name])}")
    match name:
        case "BYDAY":
            return tuple(_weekday(each, frequency) for each in value.split(","))
        case "WKST":
            if value not in WEEKDAYS:
                raise ValueError(f"has WKST={value}; there are: {', '.join(WEEKDAYS)}")
            return WEEKDAYS[value]
        case "UNTIL":
            return _local(value, "UNTIL", zone, time(23, 59, 59))
        case "INTERVAL":
            return _number(name, value)
        case _:
            return tuple(_number(name, each) for each in value.split(","))


def _weekday(text: str, frequency: str) -> rrule.weekday:
    found = re.fullmatch(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", text, re.ASCII)
    place = int(found[1]) if found and found[1] else None
    if not found or place == 0:
        raise ValueError(f"has BYDAY={text}; a day is MO, or 1MO for the first, -1MO for the last")
    if place is not None and frequency not in ("MONTHLY", "YEARLY"):
        raise ValueError(f"has BYDAY={text} with FREQ={frequency}; a counted day goes with MONTHLY, YEARLY")
    day = WEEKDAYS[found[2]]
    return day if place is None else day(place)


def _number(name: str, text: str) -> int:
    least, most, from_the_end = _NUMBERS[name]
    number = int(text) if re.fullmatch(r"[+-]?\d{1,4}", text, re.ASCII) else None
    if number is None or not (least <= number <= most or (from_the_end and least <= -number <= most)):
        negative = f", or {-most} to {-least}" if from_the_end else ""
        raise ValueError(f"has {name}={text[:20]}; it must be {least} to {most}{negative}")
    return number


def _local(text: str, name: str, zone: tzinfo | None, without: time) -> datetime:
    found = _MOMENT.fullmatch(text)
    try:
        if not found or (found[3] and zone is None):
            raise ValueError  # noqa: TRY301 - one way to say it
        day = datetime.strptime(found[1], "%Y%m%d")  # noqa: DTZ007 - local time
        at = datetime.strptime(found[2].ljust(6, "0"), "%H%M%S").time() if found[2] else without  # noqa: DTZ007
        moment = datetime.combine(day, at)
        return moment.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if found[3] else moment
    except (ValueError, OverflowError):
        raise ValueError(f"has {name}={text[:20]}; write 20261231T140000, in local time") from None
