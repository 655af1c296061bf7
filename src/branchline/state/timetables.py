"""What comes again: release trains and scheduled syncs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from branchline.domain.release import Kind, Late, NewTimetable, Timetable
from branchline.errors import BadInput
from branchline.state import tables
from branchline.state.database import StateDatabase


class Timetables:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def create(self, new: NewTimetable, now: datetime) -> Timetable:
        """Its first time is the next one."""
        with self._database.write() as session:
            row = tables.Timetable(
                id=f"t-{secrets.token_hex(5)}",
                kind=new.kind,
                environment_id=new.environment_id,
                source_id=new.source_id,
                calendar=new.calendar,
                cutoff_seconds=new.cutoff_seconds,
                window_seconds=new.window_seconds,
                late=new.late,
                author=new.author,
                made_until=now,
                created_at=now,
            )
            session.add(row)
            session.flush()
            return _one(session, row.id)

    def get(self, timetable_id: str, kind: Kind) -> Timetable:
        """One that was not removed, by an unambiguous beginning of its id. Raises BadInput."""
        beginning = func.substr(tables.Timetable.id, 1, len(timetable_id))
        with self._database.read() as session:
            found = _found(
                session,
                _all().where(beginning == timetable_id, tables.Timetable.kind == kind).limit(2),
            )
        if len(found) != 1 or not timetable_id:
            what, command = (
                ("release train", "train") if kind == "promotion" else ("scheduled sync", "sync-schedule")
            )
            reason = f"More than one {what} begins with" if found else f"There is no {what}"
            raise BadInput(120, f"{reason} {timetable_id!r}.", f"branchline {command} list")
        return found[0]

    def list(self, kind: Kind | None = None) -> Sequence[Timetable]:
        """Those that were not removed, the oldest first."""
        query = _all() if kind is None else _all().where(tables.Timetable.kind == kind)
        with self._database.read() as session:
            return _found(session, query)

    def hold(self, timetable_id: str, by: str, reason: str) -> Timetable:
        """No time of it is made until it is resumed."""
        with self._database.write() as session:
            row = session.get_one(tables.Timetable, timetable_id)
            row.held_by, row.held_reason = by, reason
            return _one(session, timetable_id)

    def resume(self, timetable_id: str, now: datetime) -> Timetable:
        """From its next time on: those that came while it was held are not missed. Content when nobody holds it."""
        with self._database.write() as session:
            row = session.get_one(tables.Timetable, timetable_id)
            if row.held_by is not None:
                row.held_by = row.held_reason = None
                row.made_until = max(row.made_until, now)
            return _one(session, timetable_id)

    def remove(self, timetable_id: str, now: datetime) -> None:
        """It comes no more; its releases stay."""
        with self._database.write() as session:
            session.get_one(tables.Timetable, timetable_id).removed_at = now

    def made(self, timetable_id: str, until: datetime) -> None:
        """Times up to this one have their release; never fewer than before."""
        with self._database.write() as session:
            row = session.get_one(tables.Timetable, timetable_id)
            row.made_until = max(row.made_until, until)


_Source = aliased(tables.Environment)


def _all() -> Select[Any]:
    return (
        select(tables.Timetable, tables.Environment.name, tables.Project.name, _Source.name)
        .join(tables.Environment, tables.Environment.id == tables.Timetable.environment_id)
        .join(tables.Project, tables.Project.id == tables.Environment.project_id)
        .outerjoin(_Source, _Source.id == tables.Timetable.source_id)
        .where(tables.Timetable.removed_at.is_(None))
        .order_by(tables.Timetable.created_at, tables.Timetable.id)
    )


def _one(session: Session, timetable_id: str) -> Timetable:
    session.flush()
    return _found(session, _all().where(tables.Timetable.id == timetable_id))[0]


def _found(session: Session, query: Select[Any]) -> Sequence[Timetable]:
    return [_timetable(*row) for row in session.execute(query).tuples()]


def _timetable(row: tables.Timetable, target: str, project: str, source: str | None) -> Timetable:
    return Timetable(
        id=row.id,
        kind=cast("Kind", row.kind),
        environment=f"{project}/{target}",
        source=f"{project}/{source}" if source else None,
        calendar=row.calendar,
        cutoff_seconds=row.cutoff_seconds,
        window_seconds=row.window_seconds,
        late=cast("Late", row.late),
        author=row.author,
        held_by=row.held_by,
        held_reason=row.held_reason,
        made_until=row.made_until,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
