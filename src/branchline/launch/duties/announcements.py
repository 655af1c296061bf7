"""Tells outside what the outbox holds: Prefect events, notifications, commit statuses.

Each channel gets an announcement at least once. One that fails is tried again, ever later, and then given up; it holds
up no other channel, and nothing that Branchline does depends on any.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import prefect.blocks.notifications  # noqa: F401 - Prefect's own blocks can be loaded once they are imported
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.events import Event, RelatedResource, Resource

from branchline.domain.announcement import Announcement, message, next_try, occasion, status_of
from branchline.errors import BranchlineError, Failed, Unavailable
from branchline.launch.server import Server
from branchline.launch.watching import page_of
from branchline.platform import Platform

EVERY = 1.0
MOST_AT_ONCE = 50
STALE = timedelta(days=1)
"""What nobody has told by then is told no more: a home without a dispatcher gathers announcements."""

WAIT = timedelta(seconds=5)
"""For what only waits for a channel that just failed with something else."""

Channel = tuple[str, Callable[[], None]]
_log = logging.getLogger(__name__)


class ServerAway(Unavailable):
    """The Prefect server does not answer. Nobody is to blame for that, so it is no try."""


def run(platform: Platform, server: Server) -> None:
    """One pass over what is due. A channel that failed is left alone for the rest of it."""
    now = platform.clock()
    silent: set[str] = set()
    for announcement in platform.store.announcements.due(now, MOST_AT_ONCE):
        if now - announcement.created_at > STALE:
            platform.store.announcements.close(announcement.id, now, "nobody told it within a day")
        else:
            _tell(platform, server, announcement, silent)


def _tell(platform: Platform, server: Server, announcement: Announcement, silent: set[str]) -> None:
    outbox, now = platform.store.announcements, platform.clock()
    failures: list[str] = []
    waiting = False
    for channel, tell in _channels(platform, server, announcement):
        if channel in announcement.told:
            continue
        if channel in silent:
            waiting = True
            continue
        try:
            tell()
        except ServerAway:
            silent.add(channel)
            waiting = True
        except Exception as error:  # noqa: BLE001 - whatever it was, the other channels are told
            silent.add(channel)
            failures.append(f"{channel}: {_reason(error)}")
        else:
            outbox.told(announcement.id, channel)
    note = "; ".join(failures)
    later = now + WAIT if waiting else None
    again = next_try(announcement.attempts + 1, now) or later
    if failures and again is None:
        _log.warning("%s of %s: given up: %s", announcement.news.event, announcement.news.subject, note)
        outbox.close(announcement.id, now, f"given up: {note}")
    elif failures and again is not None:
        _log.warning("%s of %s: %s", announcement.news.event, announcement.news.subject, note)
        outbox.tried(announcement.id, again, note)
    elif later is not None:
        outbox.postpone(announcement.id, later)
    else:
        outbox.close(announcement.id, now)


def _channels(platform: Platform, server: Server, announcement: Announcement) -> Iterator[Channel]:
    news = announcement.news
    yield "event", partial(_emit, server, announcement)
    kind = occasion(news)
    for slug in getattr(platform.settings.notifications, kind) if kind else ():
        yield f"notification {slug}", partial(_notify, server, slug, announcement)
    status = status_of(news)
    statuses = platform.commit_statuses(news.subject.partition("/")[0])
    if status and statuses and not _is_past(platform, announcement):
        told = replace(status, target_url=_page(server, announcement))
        yield "commit status", partial(statuses.tell, told)


def _emit(server: Server, announcement: Announcement) -> None:
    """With the same id whenever it is sent, so that the server can tell a repetition."""
    news = announcement.news
    project, _, environment = news.subject.partition("/")
    flow_run = news.payload.get("flow_run")
    event = Event(
        id=uuid5(NAMESPACE_URL, f"branchline:{announcement.id}:{announcement.created_at.isoformat()}"),
        occurred=announcement.created_at,  # type: ignore[arg-type] # Prefect takes any aware datetime
        event=news.event,
        resource=Resource(
            {
                "prefect.resource.id": f"branchline.environment.{news.subject}",
                "prefect.resource.name": news.subject,
                "branchline.project": project,
                "branchline.environment": environment,
            }
        ),
        related=[
            RelatedResource(
                {"prefect.resource.id": f"prefect.flow-run.{flow_run}", "prefect.resource.role": "flow-run"}
            )
        ]
        if flow_run
        else [],
        payload=dict(news.payload),
    )
    with _asked(server) as api:
        api.request("POST", "/events", json=[event.model_dump(mode="json")])


def _notify(server: Server, slug: str, announcement: Announcement) -> None:
    """Raises Failed for what is no notification block, and what Prefect and Apprise raise."""
    with _asked(server), server.named():
        try:
            block = Block.load(slug)
        except ValueError:
            block = None
    if not isinstance(block, NotificationBlock):
        raise Failed(
            291,
            f"The Prefect server has no notification block {slug}.",
            "make it, or correct notifications in branchline.yaml",
        )
    said = message(announcement.news)
    page = _page(server, announcement)
    notify: Any = block.notify  # its type says that it could be a coroutine
    with block.raise_on_failure():
        notify(f"{said.body}\n{page}" if page else said.body, said.subject)


@contextmanager
def _asked(server: Server) -> Iterator[SyncPrefectClient]:
    """Raises ServerAway: all that goes through it waits until it is back."""
    try:
        with server.asked(retries=0) as api:
            yield api
    except Unavailable as error:
        raise ServerAway(error.number, error.message, error.hint) from None


def _is_past(platform: Platform, announcement: Announcement) -> bool:
    """Whether something newer is to be shown in its place."""
    mine = status_of(announcement.news)
    later = map(status_of, (each.news for each in platform.store.announcements.later(announcement)))
    return any(each and mine and (each.commit, each.context) == (mine.commit, mine.context) for each in later)


def _page(server: Server, announcement: Announcement) -> str | None:
    run = announcement.news.payload.get("flow_run")
    return page_of(server, run) if run else None


def _reason(error: Exception) -> str:
    """An unknown error's text may hold a webhook's address, which is a secret."""
    if isinstance(error, BranchlineError):
        return f"{error.message} [B{error.number}]"
    return type(error).__name__
