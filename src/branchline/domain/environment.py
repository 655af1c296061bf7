"""Projects, environments, deployments and the versions of their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Tier = Literal["integration", "staging", "production"]
Status = Literal["inactive", "active", "paused"]
Contents = Literal["raw", "sanitized", "test"]
"""`raw`: Production's own data. `sanitized`: made from it by a sync. `test`: never came from Production."""


@dataclass(frozen=True, slots=True)
class Project:
    id: int
    name: str
    plan: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A branch's code, data and settings. `deployment_id` is the pointer that the commit point moves."""

    id: int
    project: Project
    name: str
    branch: str
    tier: Tier
    status: Status
    deployment_id: str | None
    hold_activity_id: str | None

    @property
    def path(self) -> str:
        return f"{self.project.name}/{self.name}"

    @property
    def resource(self) -> str:
        """The name under which it is leased."""
        return f"environment:{self.path}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One artifact and one version of each database and mount, put on one environment.

    `settings` is the fingerprint of the variables it runs with; `data` maps a slot
    (`database_slot` or `mount:<path>`) to the id of a data version.
    """

    id: str
    environment_id: int
    kind: str
    state: Literal["candidate", "deployed"]
    commit: str
    tree: str
    digest: str
    settings: str
    advance_branch: bool
    activity_id: str
    previous_id: str | None
    created_at: datetime
    deployed_at: datetime | None
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataVersion:
    """One physical database or mount tree of an environment, and where it came from.

    `fingerprint` is the schema's, set when the version was proven; a rollback compares it.
    """

    id: str
    environment_id: int
    slot: str
    contents: Contents
    made_by: str
    parent_id: str | None
    fingerprint: str | None
    activity_id: str
    created_at: datetime
    removed_at: datetime | None = None

    @property
    def kind(self) -> str:
        return self.slot.partition(":")[0]

    @property
    def name(self) -> str:
        """What `database_slot` says behind its first colon, or the mount's path."""
        return self.slot.partition(":")[2]


def database_slot(service: str, engine: str) -> str:
    """`database:<service>` for SQLite, else with the engine behind it: a service that changes its engine begins anew."""
    return f"database:{service}" if engine == "sqlite" else f"database:{service}:{engine}"


def service_and_engine(name: str) -> tuple[str, str]:
    """Of a database version's name."""
    service, _, engine = name.partition(":")
    return service, engine or "sqlite"


def contents_of_new(tier: Tier) -> Contents:
    """What data is that begins empty in an environment of this tier."""
    return "raw" if tier == "production" else "test"


def may_hold(tier: Tier, contents: Contents) -> bool:
    """Raw production data never enters another tier."""
    return tier == "production" or contents != "raw"


@dataclass(frozen=True, slots=True)
class Artifact:
    """`digest` is `sha256:<hex>` of the uncompressed archive; sizes in bytes."""

    digest: str
    files: int
    size: int
    stored_size: int
    created_at: datetime

    @property
    def short(self) -> str:
        return short_digest(self.digest)


def short_digest(digest: str) -> str:
    """The first twelve hex digits, as people see them."""
    return digest.removeprefix("sha256:")[:12]
