"""Releases: what is due when, who holds it, and the one compare-and-swap by which an operation claims it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from branchline.domain.activity import Grip
from branchline.domain.announcement import News
from branchline.domain.environment import Environment
from branchline.domain.lateness import MISSED, is_late, why_missed
from branchline.domain.release import OPEN, Late, NewRelease, Release, ReleaseState
from branchline.errors import BadInput, Refused
from branchline.state import tables
from branchline.state.announcements import announce
from branchline.state.database import StateDatabase
from branchline.state.leases import require


class Releases:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def create(
        self,
        new: NewRelease,
        now: datetime,
        *,
        approvals: int = 0,
        ended: Literal["skipped", "missed"] | None = None,
        reason: str | None = None,
    ) -> Release:
        """Scheduled; `approvals` is how many it needs. Of one time of a timetable there is one release: asked for again,
        it is given as it is. One that has `ended` never was open: there was nothing to do, or a later one was missed too.
        """
        with self._database.write() as session:
            if new.timetable_id is not None:
                known = session.scalar(
                    select(tables.Release.id)
                    .where(tables.Release.timetable_id == new.timetable_id)
                    .where(tables.Release.due_at == new.due_at)
                )
                if known is not None:
                    return _one(session, known)
            row = tables.Release(
                **asdict(new),
                id=f"r-{secrets.token_hex(5)}",
                revision=1,
                state=ended or "scheduled",
                reason=reason,
                created_at=now,
                ended_at=now if ended else None,
            )
            session.add(row)
            session.flush()
            if ended:
                return _told(session, row, "superseded" if ended == "missed" else ended, now)
            return _scheduled(session, row, now, approvals)

    def get(self, release_id: str) -> Release:
        """An unambiguous beginning of the id will do. Raises BadInput."""
        with self._database.read() as session:
            beginning = func.substr(tables.Release.id, 1, len(release_id))
            found = _found(session, _all().where(beginning == release_id).limit(2))
        if len(found) != 1 or not release_id:
            reason = "More than one release begins with" if found else "There is no release"
            raise BadInput(240, f"{reason} {release_id!r}.", "branchline release list")
        return found[0]

    def list(
        self,
        project: str | None = None,
        environment: str | None = None,
        states: Collection[ReleaseState] = (),
        limit: int | None = None,
    ) -> Sequence[Release]:
        """What is open by its due time, then what has ended, the newest first. `environment` is a name in the project."""
        query = _all()
        if project:
            query = query.where(tables.Project.name == project)
        if environment:
            query = query.where(tables.Environment.name == environment)
        if states:
            query = query.where(tables.Release.state.in_(states))
        with self._database.read() as session:
            found = _found(session, query)
        going_on = [each for each in found if each.ended_at is None]
        over = sorted(
            (each for each in found if each.ended_at is not None),
            key=lambda each: (each.ended_at or each.created_at, each.seq),
            reverse=True,
        )
        return [*going_on, *over][:limit]

    def scheduled(self) -> Sequence[Release]:
        """All that nobody holds, whenever they are due, in order."""
        with self._database.read() as session:
            return _found(session, _waiting())

    def due(self, now: datetime, environment: Environment | None = None) -> Sequence[Release]:
        """Scheduled, held by nobody, and due; in the order in which each environment's are to run."""
        query = _waiting().where(tables.Release.due_at <= now)
        if environment is not None:
            query = query.where(tables.Release.environment_id == environment.id)
        with self._database.read() as session:
            return _found(session, query)

    def change(
        self,
        release_id: str,
        *,
        due_at: datetime,
        zone: str,
        latest_start_at: datetime,
        late: Late | None = None,
        now: datetime,
        approvals: int = 0,
    ) -> Release:
        """Another time: a new revision, which no approval given before is for. Raises Refused when it is not open."""
        with self._database.write() as session:
            row = _open(session, release_id)
            row.due_at, row.zone, row.latest_start_at = due_at, zone, latest_start_at
            row.late = late or row.late
            row.state, row.reason, row.missed_at = "scheduled", None, None
            row.revision += 1
            session.flush()
            return _scheduled(session, row, now, approvals)

    def hold(self, release_id: str, by: str, reason: str, now: datetime) -> Release:
        """It does not run until it is resumed. Raises Refused when it is not open."""
        with self._database.write() as session:
            row = _open(session, release_id)
            row.held_by, row.held_reason = by, reason
            return _told(session, row, "held", now, actor=by, reason=reason)

    def resume(self, release_id: str, by: str, now: datetime) -> Release:
        """Content when nobody holds it. Raises Refused when it is not open."""
        with self._database.write() as session:
            row = _open(session, release_id)
            if row.held_by is None:
                return _one(session, release_id)
            row.held_by = row.held_reason = None
            return _told(session, row, "resumed", now, actor=by)

    def cancel(self, release_id: str, by: str, reason: str, now: datetime) -> Release:
        """Raises Refused when it is not open."""
        with self._database.write() as session:
            row = _open(session, release_id)
            row.state, row.reason, row.ended_at = "cancelled", f"cancelled by {by}: {reason}", now
            return _told(session, row, "cancelled", now, actor=by)

    def waits(self, release_id: str, reason: str) -> None:
        """Why it does not run yet, although it is due."""
        with self._database.write() as session:
            row = _row(session, release_id)
            if row.state in OPEN:
                row.reason = reason

    def miss(self, release_id: str, now: datetime) -> Release:
        """Reports, once, that it did not start in time; its policy decides what it is then."""
        with self._database.write() as session:
            row = _row(session, release_id)
            release = _one(session, release_id)
            if row.state != "scheduled" or row.held_by or row.missed_at or not is_late(release, now):
                return release
            row.state, row.missed_at = MISSED[release.late], now
            row.reason = why_missed(release)
            row.ended_at = None if row.state in OPEN else now
            return _told(session, row, "missed", now)

    def claim(self, grip: Grip, release_id: str, now: datetime, *, by_hand: bool = False) -> bool:
        """The compare-and-swap: from now on it is this operation's. False when it cannot be had.

        It must be scheduled, due and held by nobody, and no earlier one of its environment may be due. A person who
        runs it `by_hand` does not wait for its time or turn, and answers what was asked.
        """
        with self._database.write() as session:
            require(session, grip)
            row = _row(session, release_id)
            if row.held_by is not None or row.state not in (OPEN if by_hand else ("scheduled",)):
                return False
            if not by_hand and (row.due_at > now or _before(session, row)):
                return False
            row.state, row.activity_id = "running", grip.activity_id
            _told(session, row, "due", now)
            return True

    def end(
        self, grip: Grip, release_id: str, state: ReleaseState, reason: str | None, now: datetime
    ) -> None:
        """What became of it, when this operation has it and has not switched: behind the switch it is done, whatever
        came after. With `asking` it is open again.
        """
        with self._database.write() as session:
            require(session, grip)
            row = _row(session, release_id)
            if not _is_its(row, grip) or _committed(session, grip):
                return
            row.state, row.reason = state, reason
            if state in OPEN:
                row.missed_at = row.missed_at or now
            else:
                row.ended_at = now
            _told(session, row, state, now)

    def settle(self, grip: Grip, release_id: str, now: datetime, reason: str | None = None) -> None:
        """Done when its operation has switched; else nothing has happened, and it is as it was before the claim, but for
        the reason. Content when it has ended, or is not this operation's.
        """
        with self._database.write() as session:
            require(session, grip)
            row = _row(session, release_id)
            if not _is_its(row, grip):
                return
            if _committed(session, grip):
                row.state, row.reason, row.ended_at = "done", None, now
                _told(session, row, "done", now)
            else:
                row.state = MISSED[cast("Late", row.late)] if row.missed_at else "scheduled"
                row.reason = reason or f"activity {grip.activity_id} ended before the switch without a word"
                row.activity_id = None


def _row(session: Session, release_id: str) -> tables.Release:
    return session.scalars(select(tables.Release).where(tables.Release.id == release_id)).one()


def _open(session: Session, release_id: str) -> tables.Release:
    row = _row(session, release_id)
    if row.state not in OPEN:
        raise Refused(
            241,
            f"Release {row.id} is {row.state}: it cannot be changed any more.",
            f"branchline release show {row.id}",
        )
    return row


def _before(session: Session, row: tables.Release) -> bool:
    """Whether an earlier one of its environment is to run first. One that asks, or is held, waits for a person."""
    return (
        session.scalar(
            select(tables.Release.id)
            .where(tables.Release.environment_id == row.environment_id, tables.Release.id != row.id)
            .where(tables.Release.state.in_(("scheduled", "running")), tables.Release.held_by.is_(None))
            .where(
                (tables.Release.due_at < row.due_at)
                | ((tables.Release.due_at == row.due_at) & (tables.Release.seq < row.seq))
            )
            .limit(1)
        )
        is not None
    )


def _is_its(row: tables.Release, grip: Grip) -> bool:
    return row.state == "running" and row.activity_id == grip.activity_id


def _committed(session: Session, grip: Grip) -> bool:
    return session.get_one(tables.Activity, grip.activity_id).committed_at is not None


def _scheduled(session: Session, row: tables.Release, now: datetime, approvals: int) -> Release:
    if approvals:
        _told(session, row, "approval-needed", now, needed=approvals)
    return _told(session, row, "scheduled", now)


def _told(session: Session, row: tables.Release, became: str, now: datetime, **more: Any) -> Release:
    """Announces it in this transaction; gives the release as it is now."""
    session.flush()
    release = _one(session, row.id)
    payload = {
        "release": release.id,
        "revision": release.revision,
        "kind": release.kind,
        "sentence": f"release {release.id}: {release.what}",
        "actor": release.author,
        "due": f"{release.due_at.astimezone(ZoneInfo(release.zone)):%Y-%m-%d %H:%M} {release.zone}",
        "late": release.late,
        "reason": release.reason,
        "source": release.source,
        "commit": release.commit,
        "artifact": release.digest,
    }
    if release.activity_id and became in ("due", "done", "failed", "skipped", "asking"):
        payload["activity"] = release.activity_id
    announce(session, News(f"branchline.release.{became}", release.environment, payload | more), now)
    return release


_Source = aliased(tables.Environment)


def _all() -> Select[Any]:
    return (
        select(tables.Release, tables.Environment, tables.Project.name, _Source.name)
        .join(tables.Environment, tables.Environment.id == tables.Release.environment_id)
        .join(tables.Project, tables.Project.id == tables.Environment.project_id)
        .outerjoin(_Source, _Source.id == tables.Release.source_id)
        .order_by(tables.Release.due_at, tables.Release.seq)
    )


def _waiting() -> Select[Any]:
    return _all().where(tables.Release.state == "scheduled", tables.Release.held_by.is_(None))


def _one(session: Session, release_id: str) -> Release:
    return _found(session, _all().where(tables.Release.id == release_id))[0]


def _found(session: Session, query: Select[Any]) -> Sequence[Release]:
    return [_release(*row) for row in session.execute(query).tuples()]


_SAME = (
    "id",
    "seq",
    "kind",
    "digest",
    "commit",
    "due_at",
    "zone",
    "latest_start_at",
    "late",
    "revision",
    "state",
    "reason",
    "author",
    "held_by",
    "held_reason",
    "timetable_id",
    "activity_id",
    "created_at",
    "ended_at",
    "missed_at",
)


def _release(row: tables.Release, target: tables.Environment, project: str, source: str | None) -> Release:
    values = cast("dict[str, Any]", {field: getattr(row, field) for field in _SAME})
    return Release(
        **values,
        environment=f"{project}/{target.name}",
        source=f"{project}/{source}" if source else None,
        tier=target.tier,
    )
