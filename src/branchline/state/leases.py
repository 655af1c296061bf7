"""Leases: who may change an environment now, and the tokens by which every write proves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from branchline.domain.activity import Grip, Holder, Lease, Want
from branchline.errors import Failed
from branchline.state import tables
from branchline.state.database import StateDatabase


class LostLease(Failed):
    """Another process took over: this one may write nothing any more, not even its own end."""

    def __init__(self, activity_id: str) -> None:
        super().__init__(
            310,
            f"Activity {activity_id} lost its lease: another process took over and ended what it had begun.",
            f"branchline activity show {activity_id}",
        )

    def __reduce__(self) -> tuple[type[LostLease], tuple[str]]:
        return type(self), (self.message.split()[1],)


def require(session: Session, grip: Grip) -> None:
    """Raises LostLease unless each token of the grip is still the one that its lease carries."""
    held = dict(
        session.execute(
            select(tables.Lease.resource, tables.Lease.token).where(
                tables.Lease.activity_id == grip.activity_id
            )
        )
        .tuples()
        .all()
    )
    if not grip.tokens or any(held.get(resource) != token for resource, token in grip.tokens):
        raise LostLease(grip.activity_id)


def take(
    session: Session, activity_id: str, wants: Sequence[Want], holder: Holder, now: datetime, seconds: float
) -> Grip | tuple[Lease, ...]:
    """All of the leases at once, or none and those that stand in the way, expired ones too.

    Taken in one transaction, so two operations that cross can not each hold a half.
    """
    in_the_way = _conflicts(session, activity_id, wants)
    if in_the_way:
        return in_the_way
    for want in sorted(wants, key=lambda want: want.resource):
        session.add(
            tables.Lease(
                resource=want.resource,
                exclusive=want.exclusive,
                token=_next_token(session),
                activity_id=activity_id,
                host=holder.host,
                boot=holder.boot,
                pid=holder.pid,
                pid_started=holder.pid_started,
                taken_at=now,
                expires_at=now + timedelta(seconds=seconds),
            )
        )
    session.flush()
    return Grip(
        activity_id, tuple(sorted((lease.resource, lease.token) for lease in _held(session, activity_id)))
    )


class Leases:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add(self, grip: Grip, want: Want, now: datetime, seconds: float) -> Grip | tuple[Lease, ...]:
        """One more lease for an operation that runs, or those that stand in the way. Raises LostLease."""
        with self._database.write() as session:
            require(session, grip)
            first = _held(session, grip.activity_id)[0]
            return take(session, grip.activity_id, (want,), first.holder, now, seconds)

    def renew(self, grip: Grip, now: datetime, seconds: float) -> None:
        """Raises LostLease."""
        with self._database.write() as session:
            require(session, grip)
            session.execute(
                update(tables.Lease)
                .where(tables.Lease.activity_id == grip.activity_id)
                .values(expires_at=now + timedelta(seconds=seconds))
            )

    def take_over(self, found: Sequence[Lease], holder: Holder, now: datetime, seconds: float) -> Grip | None:
        """The leases of a dead activity, with newer tokens; None when another process was quicker."""
        activity_id = found[0].activity_id
        with self._database.write() as session:
            rows = session.scalars(select(tables.Lease).where(tables.Lease.activity_id == activity_id)).all()
            if {(row.resource, row.token) for row in rows} != {
                (lease.resource, lease.token) for lease in found
            }:
                return None
            for row in rows:
                row.token = _next_token(session)
                row.host, row.boot, row.pid, row.pid_started = (
                    holder.host,
                    holder.boot,
                    holder.pid,
                    holder.pid_started,
                )
                row.taken_at, row.expires_at = now, now + timedelta(seconds=seconds)
            return Grip(activity_id, tuple(sorted((row.resource, row.token) for row in rows)))

    def release(self, grip: Grip, resource: str) -> None:
        """One lease before the operation's end. Raises LostLease."""
        with self._database.write() as session:
            require(session, grip)
            session.execute(
                delete(tables.Lease)
                .where(tables.Lease.activity_id == grip.activity_id)
                .where(tables.Lease.resource == resource)
            )

    def held(self, activity_id: str | None = None) -> tuple[Lease, ...]:
        """All leases, or one activity's."""
        query = select(tables.Lease).order_by(tables.Lease.token)
        if activity_id is not None:
            query = query.where(tables.Lease.activity_id == activity_id)
        with self._database.read() as session:
            return tuple(_lease(row) for row in session.scalars(query))


def _conflicts(session: Session, activity_id: str, wants: Sequence[Want]) -> tuple[Lease, ...]:
    exclusive = {want.resource for want in wants if want.exclusive}
    rows = session.scalars(
        select(tables.Lease)
        .where(tables.Lease.resource.in_([want.resource for want in wants]))
        .where(tables.Lease.activity_id != activity_id)
    )
    return tuple(_lease(row) for row in rows if row.exclusive or row.resource in exclusive)


def _held(session: Session, activity_id: str) -> tuple[Lease, ...]:
    rows = session.scalars(
        select(tables.Lease).where(tables.Lease.activity_id == activity_id).order_by(tables.Lease.token)
    )
    return tuple(_lease(row) for row in rows)


def _next_token(session: Session) -> int:
    counter = session.get(tables.FencingToken, 1)
    if counter is None:
        counter = tables.FencingToken(id=1, last=0)
        session.add(counter)
    counter.last += 1
    session.flush()
    return counter.last


def _lease(row: tables.Lease) -> Lease:
    return Lease(
        resource=row.resource,
        exclusive=row.exclusive,
        token=row.token,
        activity_id=row.activity_id,
        holder=Holder(row.host, row.boot, row.pid, row.pid_started),
        taken_at=row.taken_at,
        expires_at=row.expires_at,
    )
