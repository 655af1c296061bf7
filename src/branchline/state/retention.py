"""What the state still refers to, asked when something is to be removed for good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from branchline.state import tables
from branchline.state.database import StateDatabase

_CLOSED_RELEASES = ("done", "failed", "skipped", "missed", "cancelled")


class Idle:
    """A moment in which no operation is under way, and none begins."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def refers_to(self, digest: str, since: datetime) -> bool:
        """Whether an artifact runs somewhere, is about to, is to be released, or was built or deployed since."""
        deployments, environments = tables.Deployment, tables.Environment
        asked = (
            exists().where(environments.deployment_id == deployments.id, deployments.digest == digest),
            exists().where(
                deployments.digest == digest,
                or_(deployments.state != "deployed", deployments.deployed_at >= since),
            ),
            exists().where(tables.Release.digest == digest, tables.Release.state.not_in(_CLOSED_RELEASES)),
            exists().where(tables.Build.digest == digest, tables.Build.created_at >= since),
            exists().where(tables.Artifact.digest == digest, tables.Artifact.created_at >= since),
        )
        return bool(self._session.scalar(select(or_(*asked))))


class Retention:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    @contextmanager
    def idle(self) -> Iterator[Idle | None]:
        """None while an operation is under way, anywhere. Within the context none can begin: it is to be short."""
        with self._database.write() as session:
            under_way = session.scalar(
                select(func.count()).select_from(tables.Activity).where(tables.Activity.ended_at.is_(None))
            )
            yield None if under_way else Idle(session)

    def forget_pushes(self, before: datetime) -> int:
        """Those that ended before; how many."""
        with self._database.write() as session:
            gone = session.scalars(
                delete(tables.Push).where(tables.Push.ended_at < before).returning(tables.Push.id)
            )
            return len(gone.all())
