"""The tables. Private to `branchline.state`: callers get the dataclasses of `branchline.domain`.

Times are UTC. What ended is never rewritten; what is current is found by a pointer
(`environments.deployment_id`), and that pointer moves only in `commit.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """Stored without a zone, always UTC; comes out aware."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.replace(tzinfo=UTC) if value else None


class PlainText(TypeDecorator[str]):
    """PostgreSQL takes no NUL in a text; SQLite would."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return value.replace("\0", "\ufffd") if value else value


Bytes = BigInteger().with_variant(Integer, "sqlite")
"""PostgreSQL's INTEGER ends at 2 GiB."""


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        str: PlainText,
        bytes: LargeBinary,
    }


class Project(Table):
    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    plan: Mapped[str]
    created_at: Mapped[datetime]


class Environment(Table):
    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        UniqueConstraint("project_id", "branch", name="uq_environments_project_id_branch"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    branch: Mapped[str]
    tier: Mapped[str]
    status: Mapped[str]
    deployment_id: Mapped[str | None]
    hold_activity_id: Mapped[str | None]
    created_at: Mapped[datetime]


class Artifact(Table):
    __tablename__ = "artifacts"

    digest: Mapped[str] = mapped_column(primary_key=True)
    files: Mapped[int]
    size: Mapped[int] = mapped_column(Bytes)
    stored_size: Mapped[int] = mapped_column(Bytes)
    created_at: Mapped[datetime]


class Build(Table):
    """The first artifact of a key is the artifact of that key."""

    __tablename__ = "builds"

    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    tree: Mapped[str]
    inputs: Mapped[dict[str, Any]]
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    created_at: Mapped[datetime]


class Deployment(Table):
    """`candidate` until the commit point, then `deployed` for good."""

    __tablename__ = "deployments"

    id: Mapped[str] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    kind: Mapped[str]
    state: Mapped[str]
    commit: Mapped[str]
    tree: Mapped[str]
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    settings: Mapped[str]
    advance_branch: Mapped[bool]
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    previous_id: Mapped[str | None] = mapped_column(ForeignKey("deployments.id"))
    created_at: Mapped[datetime]
    deployed_at: Mapped[datetime | None]


class DataVersion(Table):
    __tablename__ = "data_versions"

    id: Mapped[str] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    slot: Mapped[str]
    contents: Mapped[str]
    made_by: Mapped[str]
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("data_versions.id"))
    fingerprint: Mapped[str | None]
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class DeploymentData(Table):
    """`fingerprint`: of the schema that this deployment's own hook left; the version's may move on in place."""

    __tablename__ = "deployment_data"

    deployment_id: Mapped[str] = mapped_column(ForeignKey("deployments.id"), primary_key=True)
    slot: Mapped[str] = mapped_column(primary_key=True)
    data_version_id: Mapped[str] = mapped_column(ForeignKey("data_versions.id"))
    fingerprint: Mapped[str | None]


class Backup(Table):
    __tablename__ = "backups"

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    data_version_id: Mapped[str] = mapped_column(ForeignKey("data_versions.id"))
    reason: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class BadArtifact(Table):
    __tablename__ = "bad_artifacts"

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    reason: Mapped[str]
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    created_at: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_reason: Mapped[str | None]


class Activity(Table):
    __tablename__ = "activities"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    project: Mapped[str] = mapped_column(index=True)
    environment: Mapped[str] = mapped_column(index=True)
    parameters: Mapped[dict[str, Any]]
    actor: Mapped[str]
    flow_run_id: Mapped[str | None]
    request_key: Mapped[str | None] = mapped_column(index=True)
    state: Mapped[str]
    result: Mapped[str | None]
    sentence: Mapped[str]
    reason: Mapped[str | None]
    warnings: Mapped[list[Any]]
    created_at: Mapped[datetime]
    committed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Step(Table):
    __tablename__ = "steps"
    __table_args__ = (UniqueConstraint("activity_id", "seq"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    seq: Mapped[int]
    name: Mapped[str]
    state: Mapped[str]
    detail: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Resource(Table):
    """Something outside the database, recorded before it is made; `kind` names the function that removes it."""

    __tablename__ = "resources"

    id: Mapped[int] = mapped_column(primary_key=True)
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    state: Mapped[str]


class Lease(Table):
    __tablename__ = "leases"
    __table_args__ = (UniqueConstraint("resource", "activity_id"), Index("ix_leases_activity", "activity_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(index=True)
    exclusive: Mapped[bool]
    token: Mapped[int] = mapped_column(unique=True)
    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"))
    host: Mapped[str]
    boot: Mapped[str]
    pid: Mapped[int]
    pid_started: Mapped[float]
    taken_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class FencingToken(Table):
    """The last token given out. One row; it only grows."""

    __tablename__ = "fencing_token"

    id: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]


class Sync(Table):
    __tablename__ = "syncs"

    activity_id: Mapped[str] = mapped_column(ForeignKey("activities.id"), primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("environments.id"))
    target_id: Mapped[int] = mapped_column(ForeignKey("environments.id"))
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Variable(Table):
    """A variable an operator set; its value is encrypted with a key that lies outside this database."""

    __tablename__ = "variables"
    __table_args__ = (UniqueConstraint("project_id", "environment_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    environment_id: Mapped[int | None] = mapped_column(ForeignKey("environments.id"))
    name: Mapped[str]
    value: Mapped[bytes]
    at_build: Mapped[bool]
    at_run: Mapped[bool]
    sensitive: Mapped[bool]


class Person(Table):
    __tablename__ = "people"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class PersonKey(Table):
    """A public SSH key by which a person signs. A revoked one verifies nothing any more."""

    __tablename__ = "person_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"), index=True)
    public_key: Mapped[str] = mapped_column(unique=True)
    fingerprint: Mapped[str]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Timetable(Table):
    """What comes again: a release train or a scheduled sync. Each time of it becomes a row of `releases`."""

    __tablename__ = "timetables"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("environments.id"))
    calendar: Mapped[str]
    cutoff_seconds: Mapped[float]
    window_seconds: Mapped[float]
    late: Mapped[str]
    author: Mapped[str]
    held_by: Mapped[str | None]
    held_reason: Mapped[str | None]
    made_until: Mapped[datetime]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Release(Table):
    """A promotion (or a sync) that is due at a time. Claimed once, by compare-and-swap on `state`."""

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("timetable_id", "due_at"),)

    seq: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("environments.id"))
    digest: Mapped[str | None] = mapped_column(ForeignKey("artifacts.digest"))
    commit: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(index=True)
    zone: Mapped[str]
    latest_start_at: Mapped[datetime]
    late: Mapped[str]
    revision: Mapped[int]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    author: Mapped[str]
    held_by: Mapped[str | None]
    held_reason: Mapped[str | None]
    timetable_id: Mapped[str | None] = mapped_column(ForeignKey("timetables.id"))
    activity_id: Mapped[str | None] = mapped_column(ForeignKey("activities.id"))
    missed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Approval(Table):
    """One person's decision about one revision of a release. Never changed; a later one of that person wins."""

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("releases.id"), index=True)
    revision: Mapped[int]
    decision: Mapped[str]
    person: Mapped[str]
    comment: Mapped[str]
    signature: Mapped[str | None]
    fingerprint: Mapped[str | None]
    actor: Mapped[str]
    created_at: Mapped[datetime]


class Push(Table):
    """The outbox of the Git hooks: one row for each branch of a push, in the order in which they came."""

    __tablename__ = "pushes"

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    branch: Mapped[str]
    old: Mapped[str | None]
    new: Mapped[str | None]
    pusher: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    activity_id: Mapped[str | None] = mapped_column(ForeignKey("activities.id"), index=True)
    attempts: Mapped[int]
    created_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Announcement(Table):
    """What is to be told outside: written with what it tells of, sent afterwards, kept until it was."""

    __tablename__ = "announcements"

    id: Mapped[int] = mapped_column(primary_key=True)
    event: Mapped[str]
    subject: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(index=True)
    attempts: Mapped[int]
    told: Mapped[list[Any]]
    next_at: Mapped[datetime]
    note: Mapped[str | None]


class FlowRun(Table):
    """Which process runs a Prefect flow run: there while it runs."""

    __tablename__ = "flow_runs"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    boot: Mapped[str]
    pid: Mapped[int]
    pid_started: Mapped[float]
    began_at: Mapped[datetime]


class Beat(Table):
    """Signs of life of what runs all the time; `state` is how the dispatcher stands with the Prefect server."""

    __tablename__ = "beats"

    name: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    boot: Mapped[str]
    pid: Mapped[int]
    pid_started: Mapped[float]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
