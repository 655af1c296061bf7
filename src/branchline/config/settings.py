"""The platform's settings, from config/branchline.yaml and a few environment variables.

The text under each field is its description in the configuration reference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt, with_config

from branchline.config.database_settings import AdoptedDatabase, DatabaseServer, contradictions
from branchline.config.operator_file import open_file
from branchline.config.problems import bad_files
from branchline.config.schema import Broken, documented_keys, validated
from branchline.config.secret_places import (
    Directory,
    SecretReference,
    UrlOrReference,
    has_password,
    one_place,
)
from branchline.config.yaml_source import Problem
from branchline.domain.app import FORBID_UNKNOWN
from branchline.domain.units import Bytes, Seconds

OVERRIDES = {
    "BRANCHLINE_HOME": "home",
    "BRANCHLINE_STATE_URL": "state_url",
    "BRANCHLINE_ARTIFACTS_URL": "artifacts_url",
    "BRANCHLINE_SANDBOX": "sandbox",
}
"""Environment variables that win over the file, and the key that each stands for."""


def _block(value: Any) -> Any:
    """The address of a notification block. Raises ValueError, saying how it is written."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", value):
        raise ValueError("must be a block on the Prefect server, as type/name: slack-webhook/ops")
    return value


def _web(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"https?://[^/]", value):
        raise ValueError("must be the address of an API, such as https://api.github.com")
    return value


Block = Annotated[str, BeforeValidator(_block)]
Positive = Field(gt=0)


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class CommitStatusTarget:
    """Where the commits of one project are shown as deployed."""

    kind: Literal["github", "gitlab"]
    """Whose REST API it is."""
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$")]
    """The repository there: owner/name, or group/subgroup/name."""
    token: SecretReference
    """Where the token lies that may write commit statuses and nothing else."""
    url: Annotated[str, BeforeValidator(_web)] | None = None
    """The API's address; without it, https://api.github.com or https://gitlab.com/api/v4."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Notifications:
    """Which notification blocks of the Prefect server hear of what."""

    success: tuple[Block, ...] = ()
    """Deployments that succeeded, and syncs that finished."""
    failure: tuple[Block, ...] = ()
    """Deployments, syncs and releases that failed, were refused or cancelled."""
    approval: tuple[Block, ...] = ()
    """Releases that wait for approval."""
    missed: tuple[Block, ...] = ()
    """Releases that did not start by their latest start."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for all projects of this Branchline."""

    home: Directory = Path("~/.local/share/branchline")
    """The folder with state, repositories, artifacts, trees and environments (BRANCHLINE_HOME)."""
    state_url: UrlOrReference | None = None
    """URL of the state database, or where it lies; without it, an SQLite file in home (BRANCHLINE_STATE_URL)."""
    artifacts_url: str | None = None
    """URL of the artifact store, as fsspec writes it; without it, a folder in home (BRANCHLINE_ARTIFACTS_URL)."""
    sandbox: Literal["auto", "bubblewrap", "none"] = "auto"
    """How applications' commands are confined; auto: by bubblewrap where it is there (BRANCHLINE_SANDBOX)."""
    production_without_sandbox: StrictBool = False
    """Whether tiers that require a sandbox accept a host without one."""
    system_directories: tuple[Directory, ...] = ()
    """Further directories of this host that applications' commands may read, such as /opt/php."""
    lease_duration: Annotated[Seconds, Positive] = 60.0
    """After this long without a heartbeat, another process may take an operation over."""
    heartbeat: Annotated[Seconds, Positive] = 10.0
    """How often a running operation renews its leases; at most half of lease_duration."""
    build_timeout: Annotated[Seconds, Positive] = 900.0
    """How long a build hook may take where app.yaml does not say."""
    hook_timeout: Annotated[Seconds, Positive] = 600.0
    """How long a deploy or post_deploy hook may take."""
    log_limit: Annotated[Bytes, Positive] = 10 * 2**20
    """How much output of one activity is kept; the rest is counted, and the command goes on."""
    log_retention: Annotated[Seconds, Positive] = 90 * 86400.0
    """How long the output of an activity is kept; the activity itself is kept for good."""
    artifact_retention: Annotated[Seconds, Field(ge=0)] = 30 * 86400.0
    """How long an artifact is kept after its build and its last deployment, when nothing refers to it any more."""
    drain: Annotated[Seconds, Field(ge=0)] = 600.0
    """How long `branchline up`, told to stop, waits for runs to end before it cancels them."""
    disk_floor: Annotated[Bytes, Field(ge=0)] = 2**30
    """Operations that write are refused while less than this is free in home."""
    ui_actor: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")] = "prefect"
    """The role that runs from the Prefect UI and its schedules act as, because Prefect knows no users."""
    sanitize_key: SecretReference | None = None
    """Where a key lies that makes sanitized values the same in every sync; without it, each sync has its own."""
    database_servers: Mapping[str, DatabaseServer] = field(default_factory=dict, hash=False)
    """By name: the servers on which environments have their databases."""
    adopted_databases: Mapping[str, AdoptedDatabase] = field(default_factory=dict, hash=False)
    """By project/environment/service: databases that were there before Branchline and stay where they are."""
    sync_jobs: Annotated[StrictInt, Field(ge=1, le=64)] | None = None
    """How many streams a sync reads and writes at once; without it, as many as fit this machine's cores."""
    notifications: Notifications = field(default_factory=Notifications)
    """Which notification blocks of the Prefect server hear of what."""
    commit_status: Mapping[str, CommitStatusTarget] = field(default_factory=dict, hash=False)
    """By project: where its commits are shown as deployed, being deployed, or not."""


def read_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file (of none: the defaults), with the environment's overrides.

    Raises BadInput: 104 where the file cannot be read, 103 with every problem in it or in the environment.
    """
    environ = os.environ if environ is None else environ
    document = open_file(path) if path else None
    value = document.value if document and isinstance(document.value, dict) else {}
    given = {key: name for name, key in OVERRIDES.items() if environ.get(name)}
    settings, broken = validated(Settings, {**value, **{key: environ[name] for key, name in given.items()}})
    secrets = [] if document is None else list(_secrets(value))
    problems = list(document.problems) if document else []
    for where, text in [*broken, *secrets, *(_contradictions(settings) if settings else ())]:
        name = given.get(str(where[0])) if where else None
        if name and (where, text) not in secrets:
            problems.append(Problem("environment", 0, name, text))
        elif document is not None:
            problems.append(document.problem(where, text))
    if problems or settings is None:
        file = document.file if document else "environment"
        raise bad_files(
            103,
            list(dict.fromkeys([file, "environment"])),
            problems,
            f"correct {path or 'the environment variables'}",
        )
    return replace(settings, home=_home(settings.home, environ))


def settings_keys() -> dict[str, str]:
    """One-sentence description by dotted key of branchline.yaml."""
    return documented_keys(Settings)


def _home(home: Path, environ: Mapping[str, str]) -> Path:
    data = environ.get("XDG_DATA_HOME", "")
    if home == Path("~/.local/share/branchline") and Path(data).is_absolute():
        return Path(data) / "branchline"
    return home.expanduser()


def _secrets(value: Mapping[str, Any]) -> Iterator[Broken]:
    for key, variable in (
        ("state_url", "BRANCHLINE_STATE_URL"),
        ("artifacts_url", "BRANCHLINE_ARTIFACTS_URL"),
    ):
        if isinstance(value.get(key), str) and has_password(value[key]):
            place = " or write {file: /path/to/it}" if key == "state_url" else ""
            yield (
                (key,),
                f"holds a password, and no secret stands in this file: set {variable} instead{place}",
            )


def _contradictions(settings: Settings) -> Iterator[Broken]:
    if settings.heartbeat > settings.lease_duration / 2:
        yield ("heartbeat",), f"must be at most half of lease_duration, {settings.lease_duration / 2:g}s"
    places: dict[tuple[str, ...], str | SecretReference | None] = {
        ("state_url",): settings.state_url,
        ("sanitize_key",): settings.sanitize_key,
    }
    for project, target in settings.commit_status.items():
        places["commit_status", project, "token"] = target.token
        if "@" in (target.url or ""):
            yield (
                ("commit_status", project, "url"),
                "holds a user or password, and no secret stands in this file",
            )
    for key, place in places.items():
        yield from one_place(key, place)
    yield from contradictions(settings.database_servers, settings.adopted_databases)
