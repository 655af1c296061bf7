"""The outbox of what is told outside: written in the transaction that makes it true, sent afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
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
        )
    )


class Announcements:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def unsent(self, limit: int = 100) -> Sequence[Announcement]:
        """The oldest first."""
        query = (
            select(tables.Announcement)
            .where(tables.Announcement.sent_at.is_(None))
            .order_by(tables.Announcement.id)
            .limit(limit)
        )
        with self._database.read() as session:
            return tuple(_announcement(row) for row in session.scalars(query))


def _announcement(row: tables.Announcement) -> Announcement:
    return Announcement(
        id=row.id,
        news=News(row.event, row.subject, row.payload),
        created_at=row.created_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        told=tuple(row.told),
    )
