"""The outbox of the Git hooks: a row for each branch of a push, and what becomes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from branchline.domain.activity import Result
from branchline.domain.environment import Project, Tier
from branchline.domain.push import FOUND, OPEN, Decision, NewPush, Push, PushState, end_of
from branchline.errors import BadInput
from branchline.state import tables
from branchline.state.database import StateDatabase

Rows = Select[tuple[tables.Push, str]]


class Pushes:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add(self, new: Sequence[NewPush], now: datetime) -> Sequence[Push]:
        """All branches of one push in one transaction. One whose row a look into the repository has made meanwhile gets that.

        Raises BadInput when there is no such project.
        """
        with self._database.write() as session:
            return [_adopted_or_added(session, each, now) for each in new]

    def add_found(self, found: Sequence[tuple[NewPush, int | None]], now: datetime) -> Sequence[Push]:
        """What a look into the repository has found; not for a branch whose last row is not the one of this id any more."""
        with self._database.write() as session:
            return [_add(session, each, now) for each, seen in found if _last_id(session, each) == seen]

    def remember(self, project: Project, tips: Mapping[str, str], reason: str, now: datetime) -> None:
        """Branches that were there before, each as a push that has ended: only in a project that has no rows yet."""
        any_row = select(tables.Push.id).where(tables.Push.project_id == project.id).limit(1)
        with self._database.read() as session:
            if session.scalar(any_row):
                return
        with self._database.write() as session:
            if session.scalar(any_row):
                return
            for branch, tip in tips.items():
                session.add(
                    tables.Push(
                        project_id=project.id,
                        branch=branch,
                        new=tip,
                        pusher=FOUND,
                        state="skipped",
                        reason=reason,
                        attempts=0,
                        created_at=now,
                        ended_at=now,
                    )
                )

    def get(self, push_id: int) -> Push:
        """Raises BadInput."""
        found = self.these([push_id])
        if not found:
            raise BadInput(177, f"There is no push {push_id}.", "branchline push list")
        return found[0]

    def these(self, ids: Collection[int]) -> Sequence[Push]:
        """By their ids, in the order in which they came."""
        return self._found(_rows().where(tables.Push.id.in_(ids)))

    def waiting(self) -> Sequence[Push]:
        """In the order in which they came."""
        return self._found(_rows().where(tables.Push.state == "waiting"))

    def running(self) -> Sequence[Push]:
        """Taken, and not ended: whether its run comes, goes on or has died."""
        return self._found(_rows().where(tables.Push.state == "running"))

    def recent(self, project: str | None = None, limit: int = 20) -> Sequence[Push]:
        """The newest first."""
        query = _rows().order_by(None).order_by(tables.Push.id.desc()).limit(limit)
        return self._found(query.where(tables.Project.name == project) if project else query)

    def newest(self, project: Project) -> Mapping[str, Push]:
        """The last row of each branch that has one."""
        last = select(func.max(tables.Push.id)).group_by(tables.Push.branch)
        return {
            push.branch: push
            for push in self._found(
                _rows().where(tables.Push.id.in_(last.where(tables.Push.project_id == project.id)))
            )
        }

    def deployed(self, project: Project) -> Mapping[tuple[str, str], datetime]:
        """Which commits were ever put on the environment of which branch, and when last."""
        at = func.max(tables.Deployment.created_at)
        query = (
            select(tables.Environment.branch, tables.Deployment.commit, at)
            .join(tables.Environment, tables.Environment.id == tables.Deployment.environment_id)
            .where(tables.Environment.project_id == project.id, tables.Deployment.state == "deployed")
            .group_by(tables.Environment.branch, tables.Deployment.commit)
        )
        with self._database.read() as session:
            return {(branch, commit): when for branch, commit, when in session.execute(query)}

    def settle(
        self,
        project: Project,
        decisions: Iterable[Decision],
        environments: Iterable[tuple[str, str, Tier]],
        now: datetime,
    ) -> Sequence[Push]:
        """Ends or takes waiting pushes and makes environments (name, branch, tier), inactive, in one transaction; gives those taken.

        A push that another process has settled meanwhile stays as that left it; of one branch, one push runs.
        """
        with self._database.write() as session:
            rows = {
                row.id: row
                for row in session.scalars(
                    select(tables.Push)
                    .where(tables.Push.project_id == project.id)
                    .where(tables.Push.state.in_(OPEN))
                )
            }
            busy = {row.branch for row in rows.values() if row.state == "running"}
            taken = []
            for each in decisions:
                row = rows.get(each.push.id)
                if row is None or row.state != "waiting" or (each.state == "running" and row.branch in busy):
                    continue
                row.state, row.reason = each.state, each.reason
                if each.state == "running":
                    row.taken_at = now
                    busy.add(row.branch)
                    taken.append(row)
                else:
                    row.ended_at = now
            _make(session, project, environments, now)
            return [_push(row, project.name) for row in taken]

    def give_back(self, push: Push) -> None:
        """It waits again, since no run of it could be started; content when it has gone on."""
        self._change(push, state="waiting", taken_at=None)

    def began(self, push: Push, activity_id: str) -> bool:
        """It ends with this activity from now on; False when another process has begun it, or ended it."""
        return self._change(push, activity_id=activity_id)

    def begin_again(self, push: Push, now: datetime) -> Push | None:
        """Its next attempt; None when another process was quicker."""
        changed = self._change(push, activity_id=None, attempts=push.attempts + 1, taken_at=now)
        return self.get(push.id) if changed else None

    def end(self, push: Push, state: PushState, reason: str | None, now: datetime) -> bool:
        """False when another process has ended it, or begun it (again)."""
        return self._change(push, state=state, reason=reason, ended_at=now)

    def forget(self, before: datetime) -> int:
        """Those that ended before, but for the last one of each branch; how many."""
        last = select(func.max(tables.Push.id)).group_by(tables.Push.project_id, tables.Push.branch)
        with self._database.write() as session:
            gone = session.scalars(
                delete(tables.Push)
                .where(tables.Push.ended_at < before, tables.Push.id.not_in(last))
                .returning(tables.Push.id)
                .execution_options(synchronize_session=False)
            )
            return len(gone.all())

    def _found(self, query: Rows) -> Sequence[Push]:
        with self._database.read() as session:
            return [_push(row, project) for row, project in session.execute(query)]

    def _change(self, push: Push, **values: Any) -> bool:
        """Compare and swap: whether it was still as it was seen."""
        with self._database.write() as session:
            changed = session.scalars(
                update(tables.Push)
                .where(tables.Push.id == push.id, tables.Push.state == push.state)
                .where(tables.Push.attempts == push.attempts)
                .where(tables.Push.activity_id.is_not_distinct_from(push.activity_id))
                .values(**values)
                .returning(tables.Push.id)
            )
            return changed.first() is not None


def end_push(
    session: Session, activity_id: str, result: Result, reason: str | None, now: datetime, *, cancelled: bool
) -> None:
    """To be called in the transaction that ends the activity: the push it was begun for ends with it."""
    if end := end_of(result, reason, cancelled=cancelled):
        session.execute(
            update(tables.Push)
            .where(tables.Push.activity_id == activity_id, tables.Push.state == "running")
            .values(state=end[0], reason=end[1], ended_at=now)
        )


def _rows() -> Rows:
    return (
        select(tables.Push, tables.Project.name)
        .join(tables.Project, tables.Project.id == tables.Push.project_id)
        .order_by(tables.Push.id)
    )


def _add(session: Session, new: NewPush, now: datetime) -> Push:
    row = tables.Push(
        project_id=_project_id(session, new.project),
        branch=new.branch,
        old=new.old,
        new=new.new,
        pusher=new.pusher,
        state="waiting",
        attempts=0,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _push(row, new.project)


def _adopted_or_added(session: Session, new: NewPush, now: datetime) -> Push:
    last = session.get(tables.Push, _last_id(session, new) or 0)
    if last is None or last.pusher != FOUND or last.new != new.new or last.state not in OPEN:
        return _add(session, new, now)
    if last.state == "waiting":
        last.pusher = new.pusher
    return _push(last, new.project)


def _last_id(session: Session, new: NewPush) -> int | None:
    return session.scalar(
        select(func.max(tables.Push.id))
        .where(tables.Push.project_id == _project_id(session, new.project))
        .where(tables.Push.branch == new.branch)
    )


def _project_id(session: Session, name: str) -> int:
    found = session.scalar(select(tables.Project.id).where(tables.Project.name == name))
    if found is None:
        raise BadInput(331, f"There is no project {name!r}.", "branchline status")
    return found


def _make(
    session: Session, project: Project, environments: Iterable[tuple[str, str, Tier]], now: datetime
) -> None:
    there = session.execute(
        select(tables.Environment.name, tables.Environment.branch).where(
            tables.Environment.project_id == project.id
        )
    ).all()
    names, branches = {name for name, _ in there}, {branch for _, branch in there}
    for name, branch, tier in environments:
        if name not in names and branch not in branches:
            session.add(
                tables.Environment(
                    project_id=project.id,
                    name=name,
                    branch=branch,
                    tier=tier,
                    status="inactive",
                    created_at=now,
                )
            )


def _push(row: tables.Push, project: str) -> Push:
    return Push(
        id=row.id,
        project=project,
        branch=row.branch,
        old=row.old,
        new=row.new,
        pusher=row.pusher,
        state=cast("PushState", row.state),
        reason=row.reason,
        activity_id=row.activity_id,
        created_at=row.created_at,
        taken_at=row.taken_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
    )
