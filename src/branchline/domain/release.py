"""Releases: what is due at a time, who has approved it, and what comes again by a calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["promotion", "sync"]
Late = Literal["run", "skip", "ask"]
"""What becomes of a release that could not start before its latest start: it runs all the same, or is skipped, or waits
for a person to say. It is reported in each case.
"""
ReleaseState = Literal["scheduled", "asking", "running", "done", "failed", "skipped", "missed", "cancelled"]
"""`scheduled` until it is claimed; `asking` when it was missed and a person decides; `missed` when it was skipped for
being late; `skipped` when there was nothing to do.
"""
Decision = Literal["approve", "reject"]
OPEN: tuple[ReleaseState, ...] = ("scheduled", "asking")
"""States from which it can still be run, held, changed or cancelled."""


@dataclass(frozen=True, slots=True)
class NewRelease:
    """What is asked for. Times are UTC; `zone` is the one that people are told them in."""

    kind: Kind
    environment_id: int
    source_id: int | None
    digest: str | None
    commit: str | None
    due_at: datetime
    zone: str
    latest_start_at: datetime
    late: Late
    author: str
    timetable_id: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A row, not a waiting process. `digest` and `commit` are the pinned artifact's; a sync pins none.

    `environment` and `source` are `project/environment`. Any change of what is released or when makes `revision` grow,
    which voids the approvals given before. `seq` orders releases that are due at the same moment.
    """

    id: str
    seq: int
    kind: Kind
    environment: str
    source: str | None
    tier: str
    digest: str | None
    commit: str | None
    due_at: datetime
    zone: str
    latest_start_at: datetime
    late: Late
    revision: int
    state: ReleaseState
    reason: str | None
    author: str
    held_by: str | None
    held_reason: str | None
    timetable_id: str | None
    activity_id: str | None
    created_at: datetime
    ended_at: datetime | None
    missed_at: datetime | None = None
    """When it was reported that it had not started by its latest start."""

    @property
    def project(self) -> str:
        return self.environment.partition("/")[0]

    @property
    def what(self) -> str:
        """In words, without when."""
        if self.kind == "sync":
            return f"refresh {self.environment} with the data of {self.source}, sanitized"
        return f"promote {self.source} to {self.environment}"


@dataclass(frozen=True, slots=True)
class Approval:
    """What one person said about one revision of a release. `signature` is armoured text, None for a mere claim."""

    release_id: str
    revision: int
    decision: Decision
    person: str
    comment: str
    signature: str | None
    fingerprint: str | None
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewTimetable:
    """What is asked for."""

    kind: Kind
    environment_id: int
    source_id: int
    calendar: str
    cutoff_seconds: float
    window_seconds: float
    late: Late
    author: str


@dataclass(frozen=True, slots=True)
class Timetable:
    """A release train or a scheduled sync.

    `calendar` is text that `domain.calendar` reads. At `cutoff_seconds` before each time, what then is healthy on the
    source is pinned as a release; `window_seconds` after it is its latest start. `made_until`: times up to here have
    their release.
    """

    id: str
    kind: Kind
    environment: str
    source: str | None
    calendar: str
    cutoff_seconds: float
    window_seconds: float
    late: Late
    author: str
    held_by: str | None
    held_reason: str | None
    made_until: datetime
    created_at: datetime
    removed_at: datetime | None


def statement(release: Release, decision: Decision) -> str:
    """What a signature is made over: one fact a line, the same bytes for whoever signs and whoever verifies."""
    return "".join(
        f"{name}: {value}\n"
        for name, value in (
            ("branchline", "release approval 1"),
            ("release", release.id),
            ("decision", decision),
            ("artifact", release.digest or "none"),
            ("path", f"{release.source or 'none'} -> {release.environment}"),
            ("due", f"{release.due_at:%Y-%m-%dT%H:%M:%SZ}"),
            ("revision", release.revision),
        )
    )
