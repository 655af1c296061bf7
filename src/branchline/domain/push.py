"""Pushes, as the Git hooks wrote them down, and which of them is deployed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from branchline.domain.activity import Result
from branchline.domain.outcome import CUT_SHORT

PushState = Literal["waiting", "running", "done", "failed", "skipped"]
OPEN: tuple[PushState, ...] = ("waiting", "running")
FOUND = "branchline"
"""The pusher of a row that was made by looking into the repository."""
WATCHER = "watch-remote"
"""The pusher of what came from an outside repository."""
SAID = 3
"""The exit code of what a Git hook runs, by which the hook knows that the pusher was told why it is not zero."""
MOST_ATTEMPTS = 3
"""How often a push is begun whose run dies."""


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One line that Git gives to its hooks; None is a ref that does not exist before or after."""

    ref: str
    old: str | None
    new: str | None

    @property
    def branch(self) -> str | None:
        """The branch's name; None for any other ref."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None


def ref_updates(lines: Iterable[bytes]) -> list[RefUpdate]:
    """What Git writes to a pre-receive or post-receive hook: `<old id> <new id> <ref>` by line (githooks(5))."""
    updates = []
    for line in lines:
        old, new, ref = line.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 2)
        updates.append(RefUpdate(ref, old if old.strip("0") else None, new if new.strip("0") else None))
    return updates


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
    """`reason` says why it was skipped (`superseded by <commit>`), or how it failed. `attempts`: how often it was begun
    again because its run had died.
    """

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
    attempts: int = 0

    @property
    def what(self) -> str:
        """In a few words."""
        return f"{self.new[:12]} on {self.branch}" if self.new else f"the end of {self.branch}"

    @property
    def key(self) -> str:
        """By which the server knows the run of this attempt. The time tells it from a push of a home that is gone."""
        return f"push:{self.id}:{self.created_at.isoformat()}:{self.attempts}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a waiting push."""

    push: Push
    state: PushState
    reason: str | None = None


def newest(waiting: Sequence[Push], tip: str | None) -> tuple[Push | None, Sequence[Decision]]:
    """Which of the waiting pushes of one branch is the one to be deployed, and how the others end.

    `tip` is where the branch was after these had been read. Hooks of two pushes may write in either order, so not the
    last row counts but where the branch is. Where none of them is that, the one that is writes its row yet, or
    did before.
    """
    wins = next((push for push in reversed(waiting) if push.new == tip), None)
    return wins, [
        Decision(
            push, "skipped", f"superseded by {tip[:12]}" if tip else "superseded: the branch was deleted"
        )
        for push in waiting
        if push is not wins
    ]


def end_of(result: Result, reason: str | None, *, cancelled: bool) -> tuple[PushState, str | None] | None:
    """How a push ends with its activity; None when that was cut short, and the push may be begun again."""
    if cancelled or (result == "failure" and reason == CUT_SHORT):
        return None
    states: dict[Result, PushState] = {"success": "done", "skipped": "skipped"}
    return states.get(result, "failed"), reason
