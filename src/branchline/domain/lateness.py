"""What is to be done with a release now: pure decisions about its times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from branchline.domain.release import Late, Release, ReleaseState

Move = Literal["leave", "miss", "wait", "run"]
"""`leave`: it is not its turn, or a person holds it, or decides. `miss`: that it could not start in time is to be
reported, and its policy decides what becomes of it. `wait`: a gate may open yet.
"""
MISSED: Mapping[Late, ReleaseState] = {"run": "scheduled", "skip": "missed", "ask": "asking"}
"""What a release is, once it was reported as missed."""


def is_late(release: Release, now: datetime) -> bool:
    """It may start at its latest start, and no later."""
    return now > release.latest_start_at


def move(release: Release, now: datetime, *, gates_open: bool) -> Move:
    """A missed one is reported first, whatever its gates say; with the policy `run` it goes on afterwards."""
    if release.state != "scheduled" or release.held_by is not None or now < release.due_at:
        return "leave"
    if is_late(release, now) and release.missed_at is None:
        return "miss"
    return "run" if gates_open else "wait"


def why_missed(release: Release) -> str:
    """Without a time: each reader is told it in the release's own zone."""
    because = f" ({release.reason})" if release.reason else ""
    then = {
        "run": "it runs as soon as it can, as its policy says",
        "skip": "it is skipped, as its policy says",
        "ask": "a person decides whether it still runs",
    }
    return f"it did not start by its latest start{because}: {then[release.late]}"
