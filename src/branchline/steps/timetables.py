"""Release trains and scheduled syncs: each time of a calendar becomes a release, a while before it is due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal, cast, get_args

from branchline.domain.calendar import in_words, read_calendar
from branchline.domain.names import shown
from branchline.domain.release import Kind, Late, NewRelease, NewTimetable, Release, Timetable
from branchline.domain.units import parse_duration
from branchline.errors import BadInput, BranchlineError, Unavailable
from branchline.platform import Platform
from branchline.steps.preflight import already_runs
from branchline.steps.promote import environment_at, promotion_pair
from branchline.steps.releases.creating import approvals_needed, pin
from branchline.steps.sync_source import sync_source

CUTOFF, WINDOW, SYNC_WINDOW = "1h", "15m", "4h"
"""Where nobody says: how long before its time a train is filled, and how long after it a train or a sync may start."""
SYNC_AHEAD = 3600.0
"""A sync's release is made so long before its time: a server then knows it, whatever becomes of the dispatcher."""
LONGEST = timedelta(days=31)
SHORTEST_WINDOW = timedelta(minutes=1)
MOST_MISSED = 50
"""After a long outage, no more of a timetable's missed times than these get a release that says so."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class TimetableView:
    """As people see it: `next` are its next times, in words, none while it is held; `open` its releases that can still run."""

    id: str
    kind: Kind
    path: str
    calendar: str
    cutoff: float
    window: float
    late: Late
    author: str
    held: str | None
    next: Sequence[str]
    open: Sequence[str]


def create_train(
    platform: Platform,
    project: str,
    tier: str,
    calendar: str,
    author: str,
    *,
    zone: str | None = None,
    source: str | None = None,
    cutoff: str = CUTOFF,
    window: str = WINDOW,
    late: str = "ask",
) -> Timetable:
    """What is healthy on the source at cut-off is promoted at each time. Raises BadInput or Refused."""
    if tier not in ("staging", "production"):
        raise BadInput(
            123, f"A train goes to staging or production, not to {shown(tier)}.", "name one of them"
        )
    pair = promotion_pair(platform, project, cast('Literal["staging", "production"]', tier), source)
    return _create(
        platform,
        "promotion",
        (pair[0].id, pair[1].id),
        calendar=_calendar(platform, calendar, zone),
        cutoff=_seconds("cutoff", cutoff),
        window=_window(window),
        late=_late(late),
        author=author,
    )


def create_sync(
    platform: Platform,
    path: str,
    calendar: str,
    author: str,
    *,
    zone: str | None = None,
    source: str | None = None,
    window: str = SYNC_WINDOW,
    late: str = "skip",
) -> Timetable:
    """An environment gets sanitized data at each time. Raises BadInput or Refused."""
    target = environment_at(platform, path)
    return _create(
        platform,
        "sync",
        (sync_source(platform, target, source).id, target.id),
        calendar=_calendar(platform, calendar, zone),
        cutoff=SYNC_AHEAD,
        window=_window(window),
        late=_late(late),
        author=author,
    )


def hold(platform: Platform, timetable: Timetable, by: str, reason: str) -> Timetable:
    """No time of it becomes a release until it is resumed. Those that are there already are held each by itself."""
    if not reason.strip():
        raise BadInput(256, "A reason is needed, and none was given.", '--reason "why"')
    return platform.store.timetables.hold(timetable.id, by, reason.strip())


def resume(platform: Platform, timetable: Timetable) -> Timetable:
    return platform.store.timetables.resume(timetable.id, platform.clock())


def remove(platform: Platform, timetable: Timetable) -> None:
    platform.store.timetables.remove(timetable.id, platform.clock())


def unroll(platform: Platform) -> list[Release]:
    """The releases of all times whose cut-off has come since they were made the last time; each time gets one only.

    What a broken timetable raises is raised when the others are done.
    """
    made: list[Release] = []
    failures: list[BranchlineError] = []
    for timetable in platform.store.timetables.list():
        if timetable.held_by is not None:
            continue
        try:
            made.extend(_unrolled(platform, timetable))
        except BranchlineError as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return made


def view(platform: Platform, timetable: Timetable) -> TimetableView:
    calendar = read_calendar(timetable.calendar)
    after = max(timetable.made_until, platform.clock())
    coming = islice(calendar.between(after, after + timedelta(days=3660)), SHOWN)
    return TimetableView(
        id=timetable.id,
        kind=timetable.kind,
        path=f"{timetable.source} -> {timetable.environment}",
        calendar=timetable.calendar,
        cutoff=timetable.cutoff_seconds,
        window=timetable.window_seconds,
        late=timetable.late,
        author=timetable.author,
        held=f"by {timetable.held_by}: {timetable.held_reason}" if timetable.held_by else None,
        next=() if timetable.held_by else tuple(in_words(each, calendar.zone) for each in coming),
        open=tuple(
            f"{each.id} due {in_words(each.due_at, each.zone)}"
            for each in platform.store.releases.list(states=("scheduled", "asking"))
            if each.timetable_id == timetable.id
        ),
    )


def _unrolled(platform: Platform, timetable: Timetable) -> Iterator[Release]:
    """A row, then that it was made: cut short between the two, the next one finds the row."""
    now, calendar = platform.clock(), read_calendar(timetable.calendar)
    until = now + timedelta(seconds=timetable.cutoff_seconds)
    times = list(calendar.between(timetable.made_until, until))
    latest_start = timedelta(seconds=timetable.window_seconds)
    missed = [each for each in times if now > each + latest_start]
    dropped = max(0, len(missed) - MOST_MISSED)
    for due in times[dropped:]:
        new = _new_release(platform, timetable, due, calendar.zone)
        if due in missed[:-1]:
            reason = (
                f"it came while nothing ran, and so did the one due {in_words(missed[-1], calendar.zone)}"
            )
            if dropped and due == missed[dropped]:
                reason += f"; so did {dropped} before it, which have no release"
            release = platform.store.releases.create(new, now, ended="missed", reason=reason)
        else:
            release = _made(platform, timetable, new)
            if due in missed and release.state == "scheduled":
                release = platform.store.releases.miss(release.id, now)
        platform.store.timetables.made(timetable.id, due)
        yield release


def _made(platform: Platform, timetable: Timetable, new: NewRelease) -> Release:
    """Pinned and scheduled; or skipped, when there is nothing to release."""
    store, now = platform.store.releases, platform.clock()
    if timetable.kind == "sync":
        return store.create(new, now)
    environments = platform.store.environments
    source, target = environments.by_id(cast("int", new.source_id)), environments.by_id(new.environment_id)
    try:
        pinned = pin(platform, source, None)
    except Unavailable:
        raise
    except BranchlineError as error:
        return store.create(new, now, ended="skipped", reason=error.message)
    filled = replace(new, digest=pinned.digest, commit=pinned.commit)
    if reason := already_runs(platform, target, pinned.commit, pinned.digest):
        return store.create(filled, now, ended="skipped", reason=reason)
    return store.create(filled, now, approvals=approvals_needed(platform, target))


def _new_release(platform: Platform, timetable: Timetable, due: datetime, zone: str) -> NewRelease:
    assert timetable.source is not None
    return NewRelease(
        kind=timetable.kind,
        environment_id=environment_at(platform, timetable.environment).id,
        source_id=environment_at(platform, timetable.source).id,
        digest=None,
        commit=None,
        due_at=due,
        zone=zone,
        latest_start_at=due + timedelta(seconds=timetable.window_seconds),
        late=timetable.late,
        author=timetable.author,
        timetable_id=timetable.id,
    )


def _create(
    platform: Platform,
    kind: Kind,
    pair: tuple[int, int],
    *,
    calendar: str,
    cutoff: float,
    window: float,
    late: Late,
    author: str,
) -> Timetable:
    new = NewTimetable(
        kind=kind,
        environment_id=pair[1],
        source_id=pair[0],
        calendar=calendar,
        cutoff_seconds=cutoff,
        window_seconds=window,
        late=late,
        author=author,
    )
    return platform.store.timetables.create(new, platform.clock())


def _calendar(platform: Platform, text: str, zone: str | None) -> str:
    """With its zone. Raises BadInput where it is none, or has no time to come."""
    calendar = read_calendar(text, zone)
    if calendar.next(platform.clock()) is None:
        raise BadInput(
            124, f"The calendar {shown(text)} has no time to come.", "give it a later UNTIL, or none"
        )
    return calendar.text


def _seconds(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadInput(121, f"The {option} {shown(text)} {error}.", f"--{option} 15m") from None
    if seconds > LONGEST.total_seconds():
        raise BadInput(
            121, f"The {option} {shown(text)} is longer than {LONGEST.days} days.", f"--{option} 15m"
        )
    return seconds


def _window(text: str) -> float:
    seconds = _seconds("window", text)
    if seconds < SHORTEST_WINDOW.total_seconds():
        raise BadInput(121, f"The window {shown(text)} is shorter than a minute.", "--window 15m")
    return seconds


def _late(text: str) -> Late:
    if text not in get_args(Late):
        raise BadInput(122, f"There is no policy {shown(text)} for a late release.", "run, skip or ask")
    return cast("Late", text)
