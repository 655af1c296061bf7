"""What is told outside: events, notifications, commit statuses. Nothing depends on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
    """News in the outbox. `told` names the channels that have it."""

    id: int
    news: News
    created_at: datetime
    sent_at: datetime | None
    attempts: int
    told: tuple[str, ...] = ()
