"""What an application's repository says about how it is built, run, checked and changed.

The text under each field is its description in the configuration reference. Validation and the
files' names are in `branchline.config`; the rules between fields are in `branchline.domain.app_rules`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, with_config

from branchline.domain.environment import database_slot
from branchline.domain.units import Seconds

MigrationsKind = Literal["none", "compatible", "exclusive"]
FORBID_UNKNOWN = ConfigDict(extra="forbid")


def _variable_text(value: Any) -> Any:
    """A text as it is; anything else as JSON, as the platforms that applications know do it."""
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)


VariableText = Annotated[str, BeforeValidator(_variable_text)]


def _mount(value: Any) -> Any:
    """Magento's `shared:files/<path>` as the mapping it stands for."""
    if isinstance(value, str):
        kind, colon, path = value.partition(":files")
        if kind != "shared" or not colon:
            raise ValueError('must be {source: local} or "shared:files/<path>"')
        return {"source": "local", "source_path": path.strip("/")}
    return value


def _relationship(value: Any) -> Any:
    """`service:endpoint` as the mapping it stands for."""
    if isinstance(value, str):
        service, colon, endpoint = value.partition(":")
        if not (service and colon and endpoint):
            raise ValueError('must be "service:endpoint", such as "db:sqlite"')
        return {"service": service, "endpoint": endpoint}
    return value


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Build:
    """How a build runs."""

    tools: tuple[str, ...] = ()
    """Commands whose `--version` output becomes part of the build key."""
    timeout: Seconds | None = None
    """How long the build hook may take; without it, the platform's build_timeout."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Hooks:
    """Shell text that ends at its first failing command."""

    build: str = ""
    """Runs in /app of the exported commit, writable, without services: makes the artifact."""
    deploy: str = ""
    """Runs before the switch, with services: the only place where data may change."""
    post_deploy: str = ""
    """Runs after the switch, with traffic flowing; its failure is a warning."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Mount:
    """A writable directory that lives outside the code."""

    source: Literal["local"] = "local"
    """Where it lives: `local`, in the environment's own storage."""
    source_path: str | None = None
    """Its name in that storage, as the string form gives it; no two mounts share one."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Relationship:
    """What the application reaches under a name of its own; written `service:endpoint`."""

    service: str
    """A key of services.yaml."""
    endpoint: str
    """What of it is reached: the service's engine, such as `sqlite`."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Commands:
    """How a process is started."""

    start: str = ""
    """Shell command, run in /app. A web process listens on 127.0.0.1 at PORT."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Location:
    """How requests below a path are answered."""

    passthru: StrictBool = False
    """Requests go to the start command."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Web:
    """The process that answers requests."""

    commands: Commands = field(default_factory=Commands)
    """How it is started."""
    locations: Mapping[str, Location] = field(default_factory=dict)
    """By path that begins with /."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Worker:
    """A process that runs as long as the release does and answers no requests."""

    commands: Commands
    """How it is started."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Cron:
    """A command that runs on a schedule, never twice at once."""

    spec: str
    """Minute, hour, day of month, month, day of week, in UTC; at least 5 minutes apart."""
    cmd: str
    """Shell command, run in /app."""
    timeout: Seconds = 86400.0
    """After this long it is ended."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class HttpCheck:
    """A request that must be answered as expected."""

    path: str
    """Path and query, beginning with /."""
    status: Annotated[StrictInt, Field(ge=100, le=599)] = 200
    """The status that must come back."""
    contains: str | None = None
    """A text that the body must contain."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Checks:
    """What proves a candidate healthy before the switch, on its own code and data."""

    healthy_for: Seconds = 0.0
    """All checks succeed this long in a row; 0: each succeeds once."""
    timeout: Seconds = 60.0
    """A candidate that is not healthy after this long is bad."""
    commands: tuple[str, ...] = ()
    """Shell commands, run in /app, that must exit with 0."""
    http: tuple[HttpCheck, ...] = ()
    """Requests to the candidate's web process."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Variables:
    """Variables that are versioned with the code. Secrets do not belong here."""

    env: Mapping[str, VariableText] = field(default_factory=dict)
    """Environment variables at build and run time; what is not a text is given as JSON."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Service:
    """A service that each environment has its own of."""

    type: str
    """Engine and version, such as `sqlite:3`."""
    disk: Annotated[StrictInt, Field(ge=1)] | None = None
    """Space it may use, in MB."""

    @property
    def kind(self) -> str:
        """The part of `type` before the colon."""
        return self.type.partition(":")[0]

    @property
    def version(self) -> str:
        """The part of `type` behind the colon; empty where any will do."""
        return self.type.partition(":")[2]

    @property
    def engine(self) -> str:
        """The database engine that it is; empty for what is none."""
        return DATABASE_ENGINES.get(self.kind, "")


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Route:
    """Where requests to a URL go."""

    type: Literal["upstream", "redirect"]
    """To an application, or to another URL."""
    upstream: str | None = None
    """`application:http`, for type upstream."""
    to: str | None = None
    """The other URL, for type redirect."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class App:
    """One application at one commit."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """The application's name: a-z 0-9 and -, at most 63."""
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9.+-]*:[A-Za-z0-9._+-]+$")]
    """Runtime and version, such as `python:3.11`: a declared tool version, part of the build key."""
    build: Build = field(default_factory=Build)
    """How the build runs."""
    dependencies: Mapping[str, Mapping[str, VariableText]] = field(default_factory=dict)
    """Build tools by package manager, as Magento declares them: part of the build key, not installed."""
    hooks: Hooks = field(default_factory=Hooks)
    """What is run, and when."""
    migrations: MigrationsKind | None = None
    """How the deploy hook changes the database: none, compatible (in place, old code keeps running) or
    exclusive (on a clone, requests held). Without it: exclusive where there are a deploy hook and a
    database, else none."""
    mounts: Mapping[str, Annotated[Mount, BeforeValidator(_mount)]] = field(default_factory=dict)
    """Writable directories by their path in /app; also written "shared:files/<path>"."""
    relationships: Mapping[str, Annotated[Relationship, BeforeValidator(_relationship)]] = field(
        default_factory=dict
    )
    """What the application reaches, by its own name for it: "service:endpoint"."""
    web: Web = field(default_factory=Web)
    """The process that answers requests."""
    workers: Mapping[str, Worker] = field(default_factory=dict)
    """Processes beside it, by name."""
    crons: Mapping[str, Cron] = field(default_factory=dict)
    """Scheduled commands, by name."""
    checks: Checks = field(default_factory=Checks)
    """What proves a candidate healthy."""
    variables: Variables = field(default_factory=Variables)
    """Variables versioned with the code."""
    services: Mapping[str, Service] = field(default_factory=dict)
    """By name, from services.yaml."""
    routes: Mapping[str, Route] = field(default_factory=dict)
    """By URL pattern, from routes.yaml."""
    warnings: tuple[str, ...] = ()
    """What was read and has no effect: `file:line:key: why`."""

    @property
    def databases(self) -> Mapping[str, Service]:
        """The databases that the application reaches, by its own name for each."""
        return {
            name: self.services[relationship.service]
            for name, relationship in self.relationships.items()
            if self.services[relationship.service].engine
        }

    @property
    def database_slots(self) -> Mapping[str, Service]:
        """The databases that the application reaches, by their slots."""
        reached = {relationship.service for relationship in self.relationships.values()}
        return {
            database_slot(name, self.services[name].engine): self.services[name]
            for name in sorted(reached)
            if self.services[name].engine
        }

    @property
    def migrations_kind(self) -> MigrationsKind:
        """The declared kind, or exclusive where there are a deploy hook and a database, else none."""
        if self.migrations is not None:
            return self.migrations
        return "exclusive" if self.hooks.deploy and self.databases else "none"


DATABASE_ENGINES = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
"""The engine, which there is an adapter for, by the type of a service."""
SERVER_ENGINES = frozenset(DATABASE_ENGINES.values()) - {"sqlite"}
"""Engines whose databases are on a server, not in a file."""
