"""Activities and their journal. Every write but the first presents the grip of its operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from branchline.domain.activity import (
    Activity,
    Grip,
    Holder,
    Lease,
    NewActivity,
    Resource,
    Result,
    Step,
    Want,
)
from branchline.domain.announcement import News, began, ended
from branchline.errors import BadInput, Refused
from branchline.state import tables
from branchline.state.announcements import announce
from branchline.state.database import StateDatabase
from branchline.state.leases import require, take
from branchline.state.pushes import end_push


class Activities:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def begin(
        self, new: NewActivity, wants: Sequence[Want], holder: Holder, now: datetime, seconds: float
    ) -> Grip | tuple[Lease, ...]:
        """The activity and all its leases in one transaction; or nothing, and the leases in the way.

        Raises Refused (287) when the same was asked for before, by its key, and is done or under way.
        """
        with self._database.write() as session:
            known = _asked(session, new.request_key) if new.request_key else None
            if known is not None:
                raise Refused(
                    287,
                    f"This was asked for before, with the same key: activity {known.id}.",
                    f"branchline activity show {known.id}",
                )
            session.add(tables.Activity(**asdict(new), state="in progress", warnings=[], created_at=now))
            session.flush()
            got = take(session, new.id, wants, holder, now, seconds)
            if not isinstance(got, Grip):
                session.rollback()
            return got

    def asked(self, request_key: str) -> Activity | None:
        """The activity that was asked for with this key and is done, or not ended; None when it is to be tried (again)."""
        with self._database.read() as session:
            row = _asked(session, request_key)
            return _activity(row, ()) if row is not None else None

    def deploys(self, grip: Grip, commit: str, now: datetime) -> None:
        """The commit that it is about to put on its environment is known now, and told outside."""
        with self._database.write() as session:
            row = _held(session, grip)
            if event := began(row.kind):
                announce(session, _news(session, row, event, commit=commit), now)

    def begin_step(self, grip: Grip, name: str, now: datetime) -> int:
        """Writes the intent; gives the step's number in its activity, from 1."""
        with self._database.write() as session:
            _held(session, grip)
            seq = (
                session.scalar(
                    select(func.max(tables.Step.seq)).where(tables.Step.activity_id == grip.activity_id)
                )
                or 0
            ) + 1
            session.add(
                tables.Step(
                    activity_id=grip.activity_id, seq=seq, name=name, state="begun", detail="", started_at=now
                )
            )
            return seq

    def end_step(self, grip: Grip, seq: int, state: str, detail: str, now: datetime) -> None:
        """Writes the result."""
        with self._database.write() as session:
            _held(session, grip)
            session.execute(
                update(tables.Step)
                .where(tables.Step.activity_id == grip.activity_id, tables.Step.seq == seq)
                .values(state=state, detail=detail, ended_at=now)
            )

    def making(self, grip: Grip, kind: str, name: str) -> None:
        """Records a resource before it is made."""
        with self._database.write() as session:
            _held(session, grip)
            session.add(tables.Resource(activity_id=grip.activity_id, kind=kind, name=name, state="made"))

    def removed(self, grip: Grip, resource: Resource) -> None:
        """Records that it is gone."""
        with self._database.write() as session:
            _held(session, grip)
            set_resource(session, grip.activity_id, resource.kind, resource.name, "removed")

    def warn(self, grip: Grip, warning: str) -> None:
        """What did not go as wished after the commit point."""
        with self._database.write() as session:
            row = _held(session, grip)
            if warning not in row.warnings:
                row.warnings = [*row.warnings, warning]

    def left_to_remove(self, activity_id: str) -> tuple[Resource, ...]:
        """What it made and did not keep, each once, the newest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.Resource)
                .where(tables.Resource.activity_id == activity_id, tables.Resource.state == "made")
                .order_by(tables.Resource.id.desc())
            )
            return tuple(dict.fromkeys(Resource(row.kind, row.name, "made") for row in rows))

    def recorded_elsewhere(self, activity_id: str, kind: str, name: str) -> bool:
        """Whether another activity that has not ended records the same resource."""
        with self._database.read() as session:
            return (
                session.scalar(
                    select(tables.Resource.id)
                    .join(tables.Activity, tables.Activity.id == tables.Resource.activity_id)
                    .where(tables.Resource.kind == kind, tables.Resource.name == name)
                    .where(tables.Activity.id != activity_id, tables.Activity.ended_at.is_(None))
                    .limit(1)
                )
                is not None
            )

    def end(self, grip: Grip, result: Result, reason: str | None, now: datetime, *, cancelled: bool) -> None:
        """Ends it, its steps that nobody ended, gives its leases back and announces it, in one transaction."""
        with self._database.write() as session:
            row = _held(session, grip)
            session.execute(
                update(tables.Step)
                .where(tables.Step.activity_id == grip.activity_id, tables.Step.state == "begun")
                .values(state="failed", detail="cut short", ended_at=now)
            )
            row.state = "cancelled" if cancelled else "complete"
            row.result, row.reason, row.ended_at = result, reason, now
            session.execute(delete(tables.Lease).where(tables.Lease.activity_id == grip.activity_id))
            end_push(session, row.id, result, reason, now, cancelled=cancelled)
            if event := ended(row.kind, result, cancelled=cancelled):
                announce(session, _news(session, row, event), now)

    def get(self, activity_id: str) -> Activity:
        """With its steps. An unambiguous beginning of the id will do. Raises BadInput."""
        with self._database.read() as session:
            beginning = func.substr(tables.Activity.id, 1, len(activity_id))
            rows = session.scalars(select(tables.Activity).where(beginning == activity_id).limit(2)).all()
            if len(rows) != 1:
                reason = "There is no activity" if not rows else "More than one activity begins with"
                raise BadInput(320, f"{reason} {activity_id!r}.", "branchline activity list")
            steps = session.scalars(
                select(tables.Step).where(tables.Step.activity_id == rows[0].id).order_by(tables.Step.seq)
            )
            return _activity(rows[0], tuple(_step(step) for step in steps))

    def recent(
        self, project: str | None = None, environment: str | None = None, limit: int = 20
    ) -> Sequence[Activity]:
        """The newest first, without their steps."""
        query = (
            select(tables.Activity)
            .order_by(tables.Activity.created_at.desc(), tables.Activity.id)
            .limit(limit)
        )
        if project:
            query = query.where(tables.Activity.project == project)
        if environment:
            query = query.where(tables.Activity.environment == environment)
        with self._database.read() as session:
            return [_activity(row, ()) for row in session.scalars(query)]

    def unended(self) -> Sequence[Activity]:
        """Those in progress, or left behind by a process that died. The oldest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.Activity)
                .where(tables.Activity.ended_at.is_(None))
                .order_by(tables.Activity.created_at)
            )
            return [_activity(row, ()) for row in rows]


def set_resource(session: Session, activity_id: str, kind: str, name: str, state: str) -> None:
    session.execute(
        update(tables.Resource)
        .where(
            tables.Resource.activity_id == activity_id,
            tables.Resource.kind == kind,
            tables.Resource.name == name,
        )
        .values(state=state)
    )


def _asked(session: Session, request_key: str) -> tables.Activity | None:
    return session.scalar(
        select(tables.Activity)
        .where(tables.Activity.request_key == request_key)
        .where(or_(tables.Activity.ended_at.is_(None), tables.Activity.result.in_(("success", "skipped"))))
        .order_by(tables.Activity.created_at.desc())
        .limit(1)
    )


def _news(session: Session, row: tables.Activity, event: str, commit: str | None = None) -> News:
    """With what is known of the commit: from its deployment, or from what was announced when it became known."""
    deployment = session.scalar(
        select(tables.Deployment).where(tables.Deployment.activity_id == row.id).limit(1)
    )
    told = session.scalar(
        select(tables.Announcement.payload)
        .where(tables.Announcement.subject == f"{row.project}/{row.environment}")
        .where(tables.Announcement.payload["activity"].as_string() == row.id)
        .limit(1)
    )
    branch = session.scalar(
        select(tables.Environment.branch)
        .join(tables.Project, tables.Project.id == tables.Environment.project_id)
        .where(tables.Project.name == row.project, tables.Environment.name == row.environment)
    )
    payload = {
        "activity": row.id,
        "kind": row.kind,
        "sentence": row.sentence,
        "actor": row.actor,
        "reason": row.reason,
        "commit": commit or (deployment.commit if deployment else (told or {}).get("commit")),
        "artifact": deployment.digest if deployment else None,
        "branch": branch,
        "flow_run": row.flow_run_id,
    }
    return News(event, f"{row.project}/{row.environment}", payload)


def _held(session: Session, grip: Grip) -> tables.Activity:
    require(session, grip)
    row = session.get_one(tables.Activity, grip.activity_id)
    if row.ended_at is not None:
        raise BadInput(
            321, f"Activity {grip.activity_id} has ended; its record stays as it is.", "start a new operation"
        )
    return row


def _activity(row: tables.Activity, steps: tuple[Step, ...]) -> Activity:
    return Activity(
        id=row.id,
        kind=row.kind,
        project=row.project,
        environment=row.environment,
        parameters=row.parameters,
        actor=row.actor,
        flow_run_id=row.flow_run_id,
        state=cast("Any", row.state),
        result=cast("Any", row.result),
        sentence=row.sentence,
        reason=row.reason,
        warnings=tuple(row.warnings),
        created_at=row.created_at,
        committed_at=row.committed_at,
        ended_at=row.ended_at,
        steps=steps,
    )


def _step(row: tables.Step) -> Step:
    return Step(row.seq, row.name, cast("Any", row.state), row.detail, row.started_at, row.ended_at)
