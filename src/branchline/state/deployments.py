"""Deployments, the data versions they are made of, and the commit point that puts one in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from branchline.domain.activity import Grip
from branchline.domain.environment import DataVersion, Deployment, Environment, Status
from branchline.domain.gates import Front, fronts
from branchline.errors import BadInput, Failed
from branchline.state import tables
from branchline.state.database import StateDatabase
from branchline.state.leases import require


class Deployments:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add_candidate(self, grip: Grip, candidate: Deployment) -> None:
        """Recorded as a resource of its activity too: what is not switched to is removed."""
        with self._database.write() as session:
            require(session, grip)
            values = {field: getattr(candidate, field) for field in _FIELDS}
            session.add(tables.Deployment(**values))
            session.add(
                tables.Resource(
                    activity_id=grip.activity_id, kind="candidate", name=candidate.id, state="made"
                )
            )
            session.flush()
            for slot, version in candidate.data.items():
                session.add(
                    tables.DeploymentData(deployment_id=candidate.id, slot=slot, data_version_id=version)
                )

    def discard_candidate(self, grip: Grip, deployment_id: str) -> None:
        """Content when it is gone; what was switched to stays."""
        with self._database.write() as session:
            require(session, grip)
            row = session.get(tables.Deployment, deployment_id)
            if row is not None and row.state == "candidate":
                session.execute(
                    delete(tables.DeploymentData).where(tables.DeploymentData.deployment_id == deployment_id)
                )
                session.delete(row)

    def add_version(self, grip: Grip, version: DataVersion, deployment_id: str) -> None:
        """A version that is about to be made, as the candidate's in its slot; a resource of its activity."""
        with self._database.write() as session:
            require(session, grip)
            session.add(
                tables.DataVersion(
                    id=version.id,
                    environment_id=version.environment_id,
                    slot=version.slot,
                    contents=version.contents,
                    made_by=version.made_by,
                    parent_id=version.parent_id,
                    fingerprint=version.fingerprint,
                    activity_id=version.activity_id,
                    created_at=version.created_at,
                )
            )
            session.add(
                tables.Resource(
                    activity_id=grip.activity_id, kind="data version", name=version.id, state="made"
                )
            )
            session.flush()
            session.merge(
                tables.DeploymentData(
                    deployment_id=deployment_id, slot=version.slot, data_version_id=version.id
                )
            )

    def set_fingerprint(self, grip: Grip, version_id: str, fingerprint: str) -> None:
        """Of its schema, as it is now and as this activity's deployment has left it."""
        with self._database.write() as session:
            require(session, grip)
            session.get_one(tables.DataVersion, version_id).fingerprint = fingerprint
            own = select(tables.Deployment.id).where(tables.Deployment.activity_id == grip.activity_id)
            session.execute(
                update(tables.DeploymentData)
                .where(tables.DeploymentData.deployment_id.in_(own))
                .where(tables.DeploymentData.data_version_id == version_id)
                .values(fingerprint=fingerprint)
            )

    def forget_version(self, grip: Grip, version_id: str, now: datetime) -> None:
        """Its files are gone. What a deployment refers to keeps its row, as lineage."""
        with self._database.write() as session:
            require(session, grip)
            _forget(session, version_id, now)

    def commit(
        self,
        grip: Grip,
        environment: Environment,
        deployment_id: str,
        now: datetime,
        *,
        backup: timedelta | None = None,
    ) -> None:
        """The commit point: one compare-and-swap moves the environment's pointer, code and data together.

        With `backup` the data versions that are replaced are kept for that long at least.
        Raises LostLease, or Failed when the pointer is not where it was when the candidate was made.
        """
        with self._database.write() as session:
            require(session, grip)
            row = session.get_one(tables.Deployment, deployment_id)
            moved = session.execute(
                update(tables.Environment)
                .where(tables.Environment.id == environment.id)
                .where(tables.Environment.deployment_id.is_not_distinct_from(row.previous_id))
                .values(deployment_id=deployment_id, status="active")
            )
            if cast("Any", moved).rowcount != 1:
                raise Failed(
                    311,
                    f"Environment {environment.path} was changed by somebody else in the meantime.",
                    "run it again",
                )
            row.state, row.deployed_at = "deployed", now
            for resource in session.scalars(
                select(tables.Resource).where(
                    tables.Resource.activity_id == grip.activity_id,
                    tables.Resource.kind.in_(["candidate", "release", "data version"]),
                    tables.Resource.state == "made",
                )
            ):
                resource.state = "kept"
            if backup is not None and row.previous_id is not None:
                kept = _data(session, deployment_id).values()
                for version in _data(session, row.previous_id).values():
                    if version not in kept:
                        session.add(
                            _backup(
                                environment.id, version, f"before activity {grip.activity_id}", now, backup
                            )
                        )
            session.get_one(tables.Activity, grip.activity_id).committed_at = now

    def commit_status(
        self, grip: Grip, environment: Environment, status: Status, now: datetime, backup: timedelta
    ) -> None:
        """The commit point of a deactivation: no deployment any more, its data kept as a backup."""
        with self._database.write() as session:
            require(session, grip)
            row = session.get_one(tables.Environment, environment.id)
            if row.deployment_id != environment.deployment_id:
                raise Failed(
                    311, f"Environment {environment.path} was changed in the meantime.", "run it again"
                )
            for version in _data(session, environment.deployment_id).values():
                session.add(
                    _backup(environment.id, version, f"before activity {grip.activity_id}", now, backup)
                )
            row.status, row.deployment_id = status, None
            session.get_one(tables.Activity, grip.activity_id).committed_at = now

    def get(self, deployment_id: str) -> Deployment:
        with self._database.read() as session:
            return _deployment(session, session.get_one(tables.Deployment, deployment_id))

    def find(self, environment: Environment, beginning: str) -> Deployment:
        """A deployment of this environment, by the beginning of its id. Raises BadInput."""
        found = [each for each in self.of(environment) if each.id.startswith(beginning)]
        if len(found) != 1:
            known = ", ".join(each.id for each in self.of(environment)[:5]) or "none yet"
            raise BadInput(
                334,
                f"{environment.path} has no single deployment that begins with {beginning!r}; its newest: {known}.",
                f"branchline status {environment.path}",
            )
        return found[0]

    def of(self, environment: Environment) -> Sequence[Deployment]:
        """Those that were switched to, the newest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.Deployment)
                .where(
                    tables.Deployment.environment_id == environment.id, tables.Deployment.state == "deployed"
                )
                .order_by(tables.Deployment.deployed_at.desc(), tables.Deployment.created_at.desc())
            ).all()
            return [_deployment(session, row) for row in rows]

    def of_activity(self, activity_id: str) -> Deployment | None:
        """The one that this activity made, candidate or not."""
        with self._database.read() as session:
            row = session.scalars(
                select(tables.Deployment).where(tables.Deployment.activity_id == activity_id)
            ).one_or_none()
            return _deployment(session, row) if row else None

    def version(self, version_id: str) -> DataVersion:
        with self._database.read() as session:
            return _version(session.get_one(tables.DataVersion, version_id))

    def find_version(self, version_id: str) -> DataVersion | None:
        """None when it was never recorded, or is forgotten."""
        with self._database.read() as session:
            row = session.get(tables.DataVersion, version_id)
            return _version(row) if row else None

    def versions(self, environment: Environment | None = None) -> Sequence[DataVersion]:
        """Those that exist, everywhere or of one environment, the newest first."""
        query = select(tables.DataVersion).where(tables.DataVersion.removed_at.is_(None))
        if environment is not None:
            query = query.where(tables.DataVersion.environment_id == environment.id)
        with self._database.read() as session:
            return [
                _version(row) for row in session.scalars(query.order_by(tables.DataVersion.created_at.desc()))
            ]

    def backed_up(self, environment: Environment, now: datetime) -> frozenset[str]:
        """The data versions that a backup keeps now."""
        with self._database.read() as session:
            return frozenset(
                session.scalars(
                    select(tables.Backup.data_version_id).where(
                        tables.Backup.environment_id == environment.id, tables.Backup.expires_at > now
                    )
                )
            )

    def fronts(self, environment: Environment) -> tuple[Front, ...]:
        """Which artifact was in front from when to when, the oldest first."""
        deployed = (
            select(tables.Deployment.digest, tables.Deployment.deployed_at)
            .where(tables.Deployment.environment_id == environment.id, tables.Deployment.state == "deployed")
            .order_by(tables.Deployment.deployed_at, tables.Deployment.created_at)
        )
        emptied = (
            select(tables.Activity.committed_at)
            .where(tables.Activity.project == environment.project.name)
            .where(tables.Activity.environment == environment.name)
            .where(tables.Activity.kind == "deactivate", tables.Activity.committed_at.is_not(None))
        )
        with self._database.read() as session:
            return fronts(
                [(digest, at) for digest, at in session.execute(deployed) if at is not None],
                [at for at in session.scalars(emptied) if at is not None],
            )

    def schemas_with(self, environment: Environment, digest: str) -> Mapping[str, str]:
        """The schema's fingerprint by slot, as the newest deployment of this artifact left each of its databases."""
        query = (
            select(tables.DeploymentData.slot, tables.DeploymentData.fingerprint)
            .join(tables.Deployment, tables.Deployment.id == tables.DeploymentData.deployment_id)
            .where(tables.Deployment.environment_id == environment.id, tables.Deployment.digest == digest)
            .where(tables.Deployment.state == "deployed", tables.DeploymentData.fingerprint.is_not(None))
            .order_by(tables.Deployment.deployed_at)
        )
        with self._database.read() as session:
            return {slot: fingerprint for slot, fingerprint in session.execute(query) if fingerprint}

    def newest_backups(self, environment: Environment, now: datetime) -> Mapping[str, datetime]:
        """By slot, when the newest backup was made that could be restored now."""
        query = (
            select(tables.DataVersion.slot, tables.Backup.created_at)
            .join(tables.DataVersion, tables.DataVersion.id == tables.Backup.data_version_id)
            .where(tables.Backup.environment_id == environment.id, tables.Backup.expires_at > now)
            .where(tables.DataVersion.removed_at.is_(None))
            .order_by(tables.Backup.created_at)
        )
        with self._database.read() as session:
            return dict(session.execute(query).tuples().all())

    def record_sync(
        self, grip: Grip, source: Environment, target: Environment, report: Mapping[str, Any], now: datetime
    ) -> None:
        """What was masked, kept and proved, for those who ask later."""
        with self._database.write() as session:
            require(session, grip)
            session.merge(
                tables.Sync(
                    activity_id=grip.activity_id,
                    source_id=source.id,
                    target_id=target.id,
                    report=dict(report),
                    created_at=now,
                )
            )

    def sync_report(self, activity_id: str) -> Mapping[str, Any] | None:
        with self._database.read() as session:
            row = session.get(tables.Sync, activity_id)
            return row.report if row else None


_FIELDS = (
    "id",
    "environment_id",
    "kind",
    "state",
    "commit",
    "tree",
    "digest",
    "settings",
    "advance_branch",
    "activity_id",
    "previous_id",
    "created_at",
    "deployed_at",
)


def _forget(session: Session, version_id: str, now: datetime) -> None:
    row = session.get(tables.DataVersion, version_id)
    if row is None:
        return
    candidates = select(tables.Deployment.id).where(tables.Deployment.state == "candidate")
    session.execute(
        delete(tables.DeploymentData)
        .where(tables.DeploymentData.data_version_id == version_id)
        .where(tables.DeploymentData.deployment_id.in_(candidates))
    )
    referred = session.scalar(
        select(tables.DeploymentData.deployment_id)
        .where(tables.DeploymentData.data_version_id == version_id)
        .limit(1)
    )
    child = session.scalar(
        select(tables.DataVersion.id).where(tables.DataVersion.parent_id == version_id).limit(1)
    )
    if referred or child:
        row.removed_at = now
    else:
        session.delete(row)


def _backup(environment_id: int, version: str, reason: str, now: datetime, keep: timedelta) -> tables.Backup:
    return tables.Backup(
        environment_id=environment_id,
        data_version_id=version,
        reason=reason,
        created_at=now,
        expires_at=now + keep,
    )


def _data(session: Session, deployment_id: str | None) -> dict[str, str]:
    rows = session.scalars(
        select(tables.DeploymentData).where(tables.DeploymentData.deployment_id == deployment_id)
    )
    return {row.slot: row.data_version_id for row in rows}


def _deployment(session: Session, row: tables.Deployment) -> Deployment:
    values = {field: getattr(row, field) for field in _FIELDS}
    return Deployment(**values, data=_data(session, row.id))


def _version(row: tables.DataVersion) -> DataVersion:
    return DataVersion(
        id=row.id,
        environment_id=row.environment_id,
        slot=row.slot,
        contents=cast("Any", row.contents),
        made_by=row.made_by,
        parent_id=row.parent_id,
        fingerprint=row.fingerprint,
        activity_id=row.activity_id,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
