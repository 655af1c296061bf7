"""The outbox of what is told outside: written in the transaction that makes it true, sent afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from branchline.domain.announcement import Announcement, News
from branchline.state import tables
from branchline.state.database import StateDatabase


def announce(session: Session, news: News, now: datetime) -> None:
    """To be called in the transaction that makes the news true."""
    session.add(
        tables.Announcement(
            event=news.event,
            subject=news.subject,
            payload=dict(news.payload),
            created_at=now,
            attempts=0,
            told=[],
            next_at=now,
        )
    )


class Announcements:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def unsent(self, limit: int = 100) -> Sequence[Announcement]:
        """The oldest first."""
        return self._found(_unsent().limit(limit))

    def due(self, now: datetime, limit: int = 100) -> Sequence[Announcement]:
        """Those whose turn it is, the oldest first."""
        return self._found(_unsent().where(tables.Announcement.next_at <= now).limit(limit))

    def later(self, announcement: Announcement) -> Sequence[Announcement]:
        """What was announced about the same subject since."""
        return self._found(
            select(tables.Announcement)
            .where(tables.Announcement.id > announcement.id)
            .where(tables.Announcement.subject == announcement.news.subject)
            .order_by(tables.Announcement.id)
        )

    def told(self, announcement_id: int, channel: str) -> None:
        """To be called when a channel has it."""
        with self._database.write() as session:
            row = session.get_one(tables.Announcement, announcement_id)
            if channel not in row.told:
                row.told = [*row.told, channel]

    def tried(self, announcement_id: int, next_at: datetime, note: str) -> None:
        """Some channels do not have it yet: `note` says which, and why."""
        with self._database.write() as session:
            row = session.get_one(tables.Announcement, announcement_id)
            row.attempts, row.next_at, row.note = row.attempts + 1, next_at, note

    def postpone(self, announcement_id: int, next_at: datetime) -> None:
        """Its turn comes later; it was not tried."""
        with self._database.write() as session:
            session.get_one(tables.Announcement, announcement_id).next_at = next_at

    def close(self, announcement_id: int, now: datetime, given_up: str | None = None) -> None:
        """All channels have it; or those that `given_up` names never will."""
        with self._database.write() as session:
            row = session.get_one(tables.Announcement, announcement_id)
            row.attempts, row.sent_at, row.note = row.attempts + 1, now, given_up

    def forget(self, before: datetime) -> int:
        """Those that are older; how many."""
        with self._database.write() as session:
            gone = session.scalars(
                delete(tables.Announcement)
                .where(tables.Announcement.created_at < before)
                .returning(tables.Announcement.id)
            )
            return len(gone.all())

    def _found(self, query: Select[tuple[tables.Announcement]]) -> Sequence[Announcement]:
        with self._database.read() as session:
            return tuple(_announcement(row) for row in session.scalars(query))


def _unsent() -> Select[tuple[tables.Announcement]]:
    return (
        select(tables.Announcement)
        .where(tables.Announcement.sent_at.is_(None))
        .order_by(tables.Announcement.id)
    )


def _announcement(row: tables.Announcement) -> Announcement:
    return Announcement(
        id=row.id,
        news=News(row.event, row.subject, row.payload),
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        told=tuple(row.told),
        next_at=row.next_at,
        note=row.note,
    )
