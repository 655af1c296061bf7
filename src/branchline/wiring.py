"""The only place that chooses an adapter."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from branchline.adapters.artifact_store import FileArtifactStore
from branchline.adapters.boxed_process import Limits
from branchline.adapters.databases.adopted import Existing
from branchline.adapters.databases.places import Engine, Places
from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.adapters.git import GitRepository, create_bare
from branchline.adapters.git_hooks import install
from branchline.adapters.leftovers import remove_tree
from branchline.adapters.processes import LocalProcesses
from branchline.adapters.release_trees import ReleaseTrees
from branchline.adapters.sandbox import detect
from branchline.adapters.signatures import SshSignatures
from branchline.adapters.watched_remote import follow
from branchline.config import Settings, read_plans, read_settings
from branchline.config.state_place import state_url
from branchline.layout import Layout
from branchline.operation import Operations, Remover
from branchline.platform import Platform
from branchline.ports import CommitStatuses, Database
from branchline.state.store import open_store
from branchline.steps.switch import finish
from branchline.steps.undo import Undo

CHECKOUT = Path(__file__).parents[2]
"""Branchline is installed as a checkout: flows/, tasks/ and config/ lie beside src/."""


def config_directory() -> Path:
    """BRANCHLINE_CONFIG, or config/ of the checkout."""
    return Path(os.environ.get("BRANCHLINE_CONFIG") or CHECKOUT / "config")


def open_platform() -> Platform:
    """The platform of this process, as config/ and the environment say. Raises BadInput for a broken config."""
    settings = read_settings(config_directory() / "branchline.yaml")
    return _platform(settings, config_directory() / "plans.yaml", pack_directories())


def pack_directories() -> tuple[Path, ...]:
    """Where sanitization packs lie: sanitization/ of the operator's configuration, then that of the checkout."""
    return tuple(dict.fromkeys(each / "sanitization" for each in (config_directory(), CHECKOUT / "config")))


@cache
def _platform(settings: Settings, plans: Path, packs: tuple[Path, ...]) -> Platform:
    layout = Layout(settings.home)
    layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = open_store(state_url(settings, layout.state), layout.key)
    artifacts = FileArtifactStore(settings.artifacts_url or str(layout.artifacts))
    sandbox = detect(
        settings.sandbox,
        system=settings.system_directories,
        limits=Limits(free=int(settings.disk_floor) // 4),
    )
    databases = Places(settings, ENGINES, SqliteDatabase, layout.data, store.variables.derived)
    removers: dict[str, Remover] = {}
    operations = Operations(
        store=store,
        processes=LocalProcesses(),
        removers=removers,
        finish=lambda operation: finish(platform, operation),
        abandon=sandbox.kill_tagged,
        log_of=layout.log,
        secrets_of=lambda project: [*store.variables.secrets_of(project), *databases.secrets()],
        clock=_now,
        lease_seconds=settings.lease_duration,
        heartbeat_seconds=settings.heartbeat,
        log_limit=settings.log_limit,
    )
    platform = Platform(
        settings=settings,
        plans=read_plans(plans),
        packs=packs,
        layout=layout,
        store=store,
        artifacts=artifacts,
        trees=ReleaseTrees(layout.trees, artifacts),
        sandbox=sandbox,
        operations=operations,
        repository=lambda project: GitRepository(layout.repository(project)),
        databases=databases,
        create_repository=lambda project, source: create_bare(layout.repository(project), source),
        guard_pushes=lambda project, protected: install(
            layout.repository(project), protected, _hook_environment(settings)
        ),
        follow_remote=lambda project, url: follow(layout.repository(project), url),
        remove_directory=remove_tree,
        signatures=SshSignatures(),
        clock=_now,
        commit_statuses=lambda project: _commit_statuses(settings, project),
    )
    removers.update(Undo(platform).removers())
    return platform


def _hook_environment(settings: Settings) -> dict[str, str]:
    """By which a hook finds this Branchline, whoever pushes."""
    found = {"BRANCHLINE_HOME": str(settings.home), "BRANCHLINE_CONFIG": str(config_directory().absolute())}
    return found | {name: os.environ[name] for name in ["BRANCHLINE_STATE_URL"] if os.environ.get(name)}


def _postgresql(url: str, slug: str, secret: bytes, jobs: int | None) -> Database:
    from branchline.adapters.databases.postgresql import PostgresqlDatabase  # noqa: PLC0415 - 0.1 s that few processes need
    from branchline.adapters.databases.postgresql_connection import PostgresqlServer  # noqa: PLC0415

    return PostgresqlDatabase(PostgresqlServer.from_url(url)[0], slug, secret, jobs)


def _existing_postgresql(url: str, database: str | None) -> Existing:
    from branchline.adapters.databases.postgresql_existing import PostgresqlExisting  # noqa: PLC0415 - as above

    return PostgresqlExisting(url, database)


def _mysql(url: str, slug: str, secret: bytes, jobs: int | None) -> Database:
    from branchline.adapters.databases.mysql import MysqlDatabase  # noqa: PLC0415 - as above
    from branchline.adapters.databases.mysql_connection import MysqlServer  # noqa: PLC0415

    return MysqlDatabase(MysqlServer.from_url(url), slug, secret, sessions=jobs or os.cpu_count() or 1)


def _existing_mysql(url: str, database: str | None) -> Existing:
    from branchline.adapters.databases.mysql_existing import MysqlExisting  # noqa: PLC0415 - as above

    return MysqlExisting(url, database)


ENGINES = {
    "postgresql": Engine(_postgresql, _existing_postgresql),
    "mysql": Engine(_mysql, _existing_mysql),
}
"""By name, those whose databases are on servers: one line for each."""


def _commit_statuses(settings: Settings, project: str) -> CommitStatuses | None:
    from branchline.adapters.commit_status import commit_statuses  # noqa: PLC0415 - 0.1 s that few processes need

    target = settings.commit_status.get(project)
    return commit_statuses(target) if target else None


def _now() -> datetime:
    return datetime.now(UTC)
