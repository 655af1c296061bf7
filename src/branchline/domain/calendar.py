"""Times that come again, and moments, as people write them: local, in a time zone.

A local time that the clocks skip means the moment the same distance after the gap's beginning; one that comes twice means
its first (docs/decisions/0010).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from heapq import heappop, heappush, merge
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from dateutil import rrule

from branchline.domain.names import shown
from branchline.domain.recurrence import WEEKDAYS, Recurrence, read_rule, too_often
from branchline.errors import BadInput

EXAMPLES = "every weekday 14:00 Europe/Berlin; every Mon,Wed 9:00 UTC; first Tuesday 22:00 Europe/Berlin; RRULE:FREQ=DAILY;BYHOUR=2 UTC"
MOMENTS = "2026-12-01 14:00 Europe/Berlin; 14:00 Europe/Berlin; tomorrow 14:00 UTC; 2026-12-01T14:00+01:00"
MOST_CHARACTERS = 500
WIDEST_GAP = timedelta(days=2)
"""Longer than clocks were ever put forward: Samoa skipped a day."""
_NO_ZONES = frozenset({"Factory", "localtime"})
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_TIME = r"(?:[01]?\d|2[0-3]):[0-5]\d"
_TIMES = re.compile(rf"(?<![\w:]){_TIME}(?:(?: ?, ?| and | ){_TIME})*(?![\w:])", re.ASCII)
_RULE = re.compile("(?:rrule|dtstart):", re.IGNORECASE)
_HOURLY = re.compile(r"(every hour|hourly)(?: (?:in )?(\S+))?", re.IGNORECASE)
_MONTHLY = re.compile(r"(?:every |on |the )*([a-z0-9, ]+?) ([a-z]+)(?: of (?:the|every|each) month)?")
_PLACES = {
    "first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "last": -1,
}  # fmt: skip
_DAYS = {
    name: code
    for code, long in zip(
        WEEKDAYS,
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        strict=True,
    )
    for name in (long, f"{long}s", long[:3])
} | {"tues": "TU", "thur": "TH", "thurs": "TH"}
_WEEK = tuple(WEEKDAYS)
_WORKDAYS = _WEEK[:5]

_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(Z|[+-]\d\d:?\d\d)(?: (\S+))?", re.ASCII
)
_DATED = re.compile(rf"(\d{{4}}-\d\d-\d\d)[T ]({_TIME})(?: (?:in )?(\S+))?", re.ASCII)
_CLOCK = re.compile(rf"(?:(today|tomorrow) )?(?:at )?({_TIME})(?: (?:in )?(\S+))?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Calendar:
    """`text` names the zone too: read again, it is the same calendar."""

    text: str
    zone: str
    rules: tuple[Recurrence, ...] = field(compare=False, repr=False)

    def next(self, after: datetime) -> datetime | None:
        """Its first time after that moment, in UTC; None when there is none any more."""
        return next(self._moments(after), None)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Its times after the one moment, up to and with the other, in UTC."""
        return takewhile(lambda each: each <= until, self._moments(after))

    def _moments(self, after: datetime) -> Iterator[datetime]:
        """In order. A skipped local time may lie behind later ones: it is kept back until none can come before it."""
        zone = ZoneInfo(self.zone)
        start = local(after, zone) - WIDEST_GAP
        waiting: list[datetime] = []
        last = after
        for wall in merge(*(rule.since(start) for rule in self.rules)):
            moment = at_wall(wall, zone)
            heappush(waiting, moment)
            skipped = local(moment, zone) != wall
            while waiting and not skipped and waiting[0] <= moment:
                if (first := heappop(waiting)) > last:
                    yield (last := first)
        for each in sorted(waiting):
            if each > last:
                yield (last := each)


def read_calendar(text: str, zone: str | None = None) -> Calendar:
    """`every weekday 14:00 Europe/Berlin` and the like, or an RRULE. `zone` is for a text that names none.

    Raises BadInput, saying what is wrong and how it is written.
    """
    words = _words(text, 114, "calendar", EXAMPLES)
    kept, named = _split_rule(words) if _RULE.match(words) else _split_words(words)
    found = check_zone(named or zone, words)
    rules = (_read_rule(kept, found, words),) if _RULE.match(words) else _read_words(kept, words)
    problems = (each.problem() for each in rules)
    if problem := next(filter(None, problems), None) or _too_often_together(rules):
        raise _unusable(words, problem)
    return Calendar(f"{kept} {found}", found, rules)


def read_moment(text: str, now: datetime, zone: str | None = None) -> tuple[datetime, str]:
    """`2026-12-01 14:00 Europe/Berlin`, `14:00 Europe/Berlin` (the next such time), `tomorrow 14:00 Europe/Berlin`,
    `2026-12-01T14:00+01:00`, `now`: the moment in UTC, and the zone that people are told it in.

    `zone` is for a text that names none. Raises BadInput for what cannot be read, and for a time in the past.
    """
    words = _words(text, 118, "time", MOMENTS)
    if words == "now":
        return now, check_zone(zone or "UTC", text)
    try:
        moment, found = _moment(words, now, zone)
    except (ValueError, OverflowError):
        raise BadInput(
            118, f"The time {shown(words)} cannot be read.", f"write it like one of these: {MOMENTS}"
        ) from None
    if moment <= now:
        raise BadInput(
            119,
            f"The time {shown(words)} is in the past: it is {in_words(now, found)} now.",
            "name one that is still to come",
        )
    return moment, found


def in_words(moment: datetime, zone: str) -> str:
    """`Tue 2026-12-01 14:00 CET`."""
    there = moment.astimezone(ZoneInfo(zone))
    return f"{_DAY_NAMES[there.weekday()]} {there:%Y-%m-%d %H:%M %Z}"


def check_zone(name: str | None, text: str) -> str:
    """Gives back the name of a time zone. Raises BadInput where there is none, or no such one: with near ones."""
    if name is None:
        raise BadInput(
            115,
            f"{shown(text)} does not say in which time zone.",
            "put one behind it, such as Europe/Berlin or UTC",
        )
    if name not in zones():
        near = ", ".join(_near(name)) or "Europe/Berlin, America/New_York, UTC"
        raise BadInput(
            116, f"There is no time zone {shown(name)}.", f"name a place as the tz database does: {near}"
        )
    return name


@cache
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(available_timezones() - _NO_ZONES)


def at_wall(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment of a local time, in UTC: moved forward where it is skipped, the first where it comes twice."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def local(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock on the wall shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _words(text: str, number: int, what: str, examples: str) -> str:
    words = " ".join(text.split())
    if not words or len(words) > MOST_CHARACTERS or not words.isprintable():
        raise BadInput(
            number, f"The {what} {shown(words)} cannot be read.", f"write it like one of these: {examples}"
        )
    return words


def _read_rule(rule: str, zone: str, words: str) -> Recurrence:
    try:
        return read_rule(rule, ZoneInfo(zone))
    except ValueError as error:
        raise _unusable(words, str(error)) from None


def _split_rule(words: str) -> tuple[str, str | None]:
    """The rule, and the zone where one is named."""
    parts = words.split(" ")
    kept = list(takewhile(_RULE.match, parts))
    return " ".join(kept), " ".join(parts[len(kept) :]) or None


def _split_words(words: str) -> tuple[str, str | None]:
    """What stands before the zone, and the zone where one is named."""
    if hourly := _HOURLY.fullmatch(words):
        return hourly[1], hourly[2]
    times = _TIMES.search(words)
    if times is None:
        raise BadInput(
            114,
            f"The calendar {shown(words)} says no time of the day.",
            f"write it like one of these: {EXAMPLES}",
        )
    return words[: times.end()], words[times.end() :].strip().removeprefix("in ") or None


def _read_words(kept: str, words: str) -> tuple[Recurrence, ...]:
    """One rule for each time of the day."""
    times = _TIMES.search(kept)
    if times is None:
        return (_rule(rrule.HOURLY, byminute=0),)
    frequency, days = _days(kept[: times.start()].strip(), words)
    return tuple(
        _rule(frequency, **days, byhour=each.hour, byminute=each.minute)
        for each in sorted({_time(each) for each in re.findall(_TIME, times[0])})
    )


def _days(text: str, words: str) -> tuple[int, dict[str, Any]]:
    """On which days: the frequency and the arguments of its rules."""
    days = re.sub(r" ?, ?| and ", ",", re.sub(r"( at|,)$", "", text.lower()))
    if days in ("every day", "daily"):
        return rrule.DAILY, {}
    kind, _, named = days.partition(" ")
    if kind == "every" and (codes := _week_days(named)):
        return rrule.WEEKLY, {"byweekday": tuple(WEEKDAYS[each] for each in codes)}
    if (monthly := _MONTHLY.fullmatch(days)) and (found := _of_month(monthly[1], monthly[2])):
        return rrule.MONTHLY, found
    raise BadInput(
        114,
        f"The calendar {shown(words)} does not say on which days: {shown(text)} is not understood.",
        f"write it like one of these: {EXAMPLES}",
    )


def _week_days(text: str) -> tuple[str, ...]:
    """`weekday`, `mon,wed`, `mon-thu`; nothing where it is none of them."""
    found: list[str] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if part in ("weekday", "weekdays"):
            found += _WORKDAYS
        elif first not in _DAYS or (dash and last not in _DAYS):
            return ()
        else:
            begin = _WEEK.index(_DAYS[first])
            count = (_WEEK.index(_DAYS[last or first]) - begin) % len(_WEEK) + 1
            found += [_WEEK[(begin + each) % len(_WEEK)] for each in range(count)]
    return tuple(dict.fromkeys(found))


def _of_month(places: str, day: str) -> dict[str, Any] | None:
    """`first tuesday`, `first,third friday`, `last weekday`, `last day`."""
    if not all(each in _PLACES for each in places.split(",")):
        return None
    numbers = tuple(_PLACES[each] for each in places.split(","))
    if day == "day":
        return {"bymonthday": numbers}
    if day == "weekday":
        return {"byweekday": tuple(WEEKDAYS[each] for each in _WORKDAYS), "bysetpos": numbers}
    return {"byweekday": tuple(WEEKDAYS[_DAYS[day]](each) for each in numbers)} if day in _DAYS else None


def _rule(frequency: int, **arguments: Any) -> Recurrence:
    return Recurrence(frequency, {**arguments, "bysecond": 0})


def _time(text: str) -> time:
    hour, _, minute = text.partition(":")
    return time(int(hour), int(minute))


def _too_often_together(rules: tuple[Recurrence, ...]) -> str | None:
    first = next(rules[0].since(rules[0].begin))
    return too_often(list(islice(merge(*(each.since(first) for each in rules)), 10 * len(rules))))


def _unusable(words: str, problem: str) -> BadInput:
    return BadInput(117, f"The calendar {shown(words)} {problem}.", f"write it like one of these: {EXAMPLES}")


def _moment(words: str, now: datetime, zone: str | None) -> tuple[datetime, str]:
    if iso := _ISO.fullmatch(words):
        moment = datetime.fromisoformat(f"{iso[1]}T{iso[2]}{iso[3]}")
        return moment.astimezone(UTC), check_zone(iso[4] or zone or "UTC", words)
    if dated := _DATED.fullmatch(words):
        found = check_zone(dated[3] or zone, words)
        return at_wall(_wall(datetime.fromisoformat(dated[1]), dated[2]), ZoneInfo(found)), found
    clock = _CLOCK.fullmatch(words)
    if clock is None:
        raise ValueError
    found = check_zone(clock[3] or zone, words)
    today = local(now, ZoneInfo(found))
    days = {"today": (0,), "tomorrow": (1,)}.get((clock[1] or "").lower(), (0, 1, 2))
    moments = [at_wall(_wall(today + timedelta(days=each), clock[2]), ZoneInfo(found)) for each in days]
    return next((each for each in moments if each > now), moments[-1]), found


def _wall(day: datetime, clock: str) -> datetime:
    return datetime.combine(day.date(), _time(clock))


def _near(name: str) -> list[str]:
    by_key: dict[str, str] = {}
    for each in sorted(zones()):
        by_key.setdefault(each.rpartition("/")[2].lower(), each)
        by_key[each.lower()] = each
    keys = get_close_matches(name.lower().replace(" ", "_"), by_key, 4, 0.6)
    return list(dict.fromkeys(by_key[each] for each in keys))[:3]
