"""Pushes, as the Git hooks wrote them down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PushState = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class NewPush:
    """One branch of one push; None for a commit where the branch does not exist."""

    project: str
    branch: str
    old: str | None
    new: str | None
    pusher: str


@dataclass(frozen=True, slots=True)
class Push:
    """`reason` says why it was skipped (`superseded by <commit>`), or how it failed."""

    id: int
    project: str
    branch: str
    old: str | None
    new: str | None
    pusher: str
    state: PushState
    reason: str | None
    activity_id: str | None
    created_at: datetime
    taken_at: datetime | None
    ended_at: datetime | None
