"""Artifacts, the builds that made them, and where they proved bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from branchline.domain.activity import Grip
from branchline.domain.environment import Artifact, Environment
from branchline.state import tables
from branchline.state.activities import set_resource
from branchline.state.database import StateDatabase
from branchline.state.leases import require


class Artifacts:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def of_key(self, key: str) -> Artifact | None:
        """What was built for a build key, if it ever was."""
        with self._database.read() as session:
            row = session.scalars(
                select(tables.Artifact)
                .join(tables.Build, tables.Build.digest == tables.Artifact.digest)
                .where(tables.Build.key == key)
            ).one_or_none()
            return _artifact(row) if row else None

    def get(self, digest: str) -> Artifact:
        with self._database.read() as session:
            return _artifact(session.get_one(tables.Artifact, digest))

    def all(self) -> Sequence[Artifact]:
        with self._database.read() as session:
            return [_artifact(row) for row in session.scalars(select(tables.Artifact))]

    def keep(
        self,
        grip: Grip,
        key: str,
        tree: str,
        inputs: Mapping[str, Any],
        artifact: Artifact,
        *,
        lost: str | None = None,
    ) -> Artifact:
        """Makes it the artifact of its key, unless the key has one that is not the `lost` digest; gives the key's."""
        with self._database.write() as session:
            require(session, grip)
            first = session.get(tables.Build, key)
            if first is not None and first.digest != lost:
                return _artifact(session.get_one(tables.Artifact, first.digest))
            row = session.get(tables.Artifact, artifact.digest)
            if row is None:
                row = tables.Artifact(
                    digest=artifact.digest,
                    files=artifact.files,
                    size=artifact.size,
                    stored_size=artifact.stored_size,
                    created_at=artifact.created_at,
                )
                session.add(row)
                session.flush()
            session.merge(
                tables.Build(
                    key=key,
                    digest=artifact.digest,
                    tree=tree,
                    inputs=dict(inputs),
                    activity_id=grip.activity_id,
                    created_at=artifact.created_at,
                )
            )
            set_resource(session, grip.activity_id, "artifact", artifact.digest, "kept")
            return _artifact(row)

    def mark_bad(self, grip: Grip, environment: Environment, digest: str, reason: str, now: datetime) -> None:
        """It is not put there again until the mark is lifted."""
        with self._database.write() as session:
            require(session, grip)
            session.add(
                tables.BadArtifact(
                    environment_id=environment.id,
                    digest=digest,
                    reason=reason,
                    activity_id=grip.activity_id,
                    created_at=now,
                )
            )

    def why_bad(self, environment: Environment, digest: str) -> str | None:
        """The reason it is bad for this environment; None when it is not."""
        with self._database.read() as session:
            return session.scalars(
                select(tables.BadArtifact.reason)
                .where(
                    tables.BadArtifact.environment_id == environment.id, tables.BadArtifact.digest == digest
                )
                .where(tables.BadArtifact.lifted_at.is_(None))
                .order_by(tables.BadArtifact.id.desc())
                .limit(1)
            ).one_or_none()

    def lift(self, grip: Grip, environment: Environment, digest: str, reason: str, now: datetime) -> None:
        """It may be tried again, because of the reason."""
        with self._database.write() as session:
            require(session, grip)
            session.execute(
                update(tables.BadArtifact)
                .where(
                    tables.BadArtifact.environment_id == environment.id, tables.BadArtifact.digest == digest
                )
                .where(tables.BadArtifact.lifted_at.is_(None))
                .values(lifted_at=now, lifted_reason=reason)
            )


def _artifact(row: tables.Artifact) -> Artifact:
    return Artifact(row.digest, row.files, row.size, row.stored_size, row.created_at)
