"""What is told outside: events, notifications, commit statuses. Nothing depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from branchline.domain.activity import Result

Occasion = Literal["success", "failure", "approval", "missed"]
"""For what people may wish to be notified."""
StatusState = Literal["pending", "success", "failure"]
"""Of a commit, where its repository is hosted."""

NOUNS = {
    **dict.fromkeys(("deploy", "promote", "rollback", "release"), "deployment"),
    "sync": "sync",
    "deactivate": "deactivation",
}
"""What an activity of each kind is called in its events. Other kinds are not told outside."""
RETRY_SECONDS = (5, 15, 60, 300, 900, 3600, 3600)
"""How long after each failed try the next one waits."""
MOST_ATTEMPTS = len(RETRY_SECONDS) + 1


@dataclass(frozen=True, slots=True)
class News:
    """`event` is `branchline.<noun>.<what became of it>`, such as branchline.deployment.succeeded or branchline.release.missed;
    `subject` is the `project/environment` it is about; `payload` holds plain values, no secrets.
    """

    event: str
    subject: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Announcement:
    """News in the outbox. `told` names the channels that have it; `note` says which do not, and why."""

    id: int
    news: News
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    told: tuple[str, ...] = ()
    next_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """For people: what happened, and what to do."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """Of one commit in one context, which is `branchline/<environment>`."""

    commit: str
    state: StatusState
    context: str
    description: str
    target_url: str | None = None


def began(kind: str) -> str | None:
    """The event of a deployment whose commit is known now; None for what is only told of when it has ended."""
    return "branchline.deployment.started" if NOUNS.get(kind) == "deployment" else None


def ended(kind: str, result: Result, *, cancelled: bool) -> str | None:
    """The event of an activity's end; None for kinds that are not told outside."""
    noun = NOUNS.get(kind)
    if noun is None:
        return None
    good = "succeeded" if noun == "deployment" else "finished"
    became = {"success": good, "failure": "failed", "skipped": "skipped", "refused": "refused"}[result]
    return f"branchline.{noun}.{'cancelled' if cancelled else became}"


def occasion(news: News) -> Occasion | None:
    """For which list of `notifications` the news is. What a release's own activity tells is not told twice."""
    noun, _, became = news.event.removeprefix("branchline.").partition(".")
    if noun == "release":
        of_activity = "activity" in news.payload
        by_name: dict[str, Occasion] = {"approval-needed": "approval", "missed": "missed", "asking": "missed"}
        return by_name.get(became) or ("failure" if became == "failed" and not of_activity else None)
    if became in ("succeeded", "finished"):
        return "success"
    return "failure" if became in ("failed", "refused", "cancelled") else None


def message(news: News) -> Message:
    """In plain words."""
    noun, _, became = news.event.removeprefix("branchline.").partition(".")
    said = news.payload.get
    lines = [
        *([f"{said('sentence')}, by {said('actor')}"] if said("sentence") else []),
        *([f"Why: {said('reason')}"] if said("reason") else []),
        *(
            f"{label}: {said(key)}"
            for label, key in (("Due", "due"), ("Commit", "commit"), ("Artifact", "artifact"))
            if said(key)
        ),
        *([f"Next: {next_}"] if (next_ := _next(news)) else []),
    ]
    in_words = {"approval-needed": "waits for approval", "missed": "was missed", "asking": "asks what to do"}
    became = in_words.get(became, became)
    return Message(f"{news.subject}: {noun} {became}", "\n".join(lines))


def status_of(news: News) -> CommitStatus | None:
    """What the commit of a deployment is to show; None where there is none to show anything at.

    One that was skipped runs there already. The target URL is the sender's to add.
    """
    states: dict[str, StatusState] = {
        "started": "pending",
        **dict.fromkeys(("succeeded", "skipped"), "success"),
        **dict.fromkeys(("failed", "refused", "cancelled"), "failure"),
    }
    prefix, _, became = news.event.rpartition(".")
    commit = news.payload.get("commit")
    if prefix != "branchline.deployment" or became not in states or not commit:
        return None
    words = {
        "started": f"being deployed to {news.subject}",
        "succeeded": f"runs on {news.subject}",
        "skipped": f"runs on {news.subject} already",
    }.get(became, f"{became} on {news.subject}: {news.payload.get('reason') or 'no reason was given'}")
    environment = news.subject.partition("/")[2]
    return CommitStatus(commit, states[became], f"branchline/{environment}", words)


def next_try(attempts: int, now: datetime) -> datetime | None:
    """After so many failed tries; None when it is given up."""
    return now + timedelta(seconds=RETRY_SECONDS[attempts - 1]) if attempts < MOST_ATTEMPTS else None


def _next(news: News) -> str | None:
    release, activity = news.payload.get("release"), news.payload.get("activity")
    became = news.event.rpartition(".")[2]
    if release and became == "approval-needed":
        return f"branchline release approve {release}"
    if release and became in ("missed", "asking") and news.payload.get("late", "ask") == "ask":
        return f"branchline release run {release}, or branchline release cancel {release}"
    if activity and became not in ("succeeded", "finished"):
        return f"branchline activity show {activity}"
    return f"branchline release show {release}" if release and not activity else None
