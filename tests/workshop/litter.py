"""What lies in a home beyond what its rows say, and what they say that does not lie there."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import text

from branchline.domain.environment import DataVersion, Environment, service_and_engine
from branchline.platform import Platform
from tests.workshop.home import Home

OF_SQLITE = {
    "damage": "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "broken reference": "SELECT * FROM pragma_foreign_key_check",
}


def litter(platform: Platform, home: Home) -> list[str]:
    """All of it, in words; empty when everything has an owner, everything owned is there, and nothing goes on."""
    return [*_rows(platform), *_processes(platform), *_files(platform, home), *_environments(platform)]


def version_served(platform: Platform, path: str) -> str | None:
    """The VERSION of the code that `current` leads to; None where nothing runs."""
    project, _, name = path.partition("/")
    link = platform.layout.current(platform.store.environments.get(project, name))
    return (link / "app/VERSION").read_text().strip() if link.is_symlink() else None


def schema_served(platform: Platform, path: str) -> int | None:
    """The schema of the database that the environment's deployment has."""
    project, _, name = path.partition("/")
    environment = platform.store.environments.get(project, name)
    if environment.deployment_id is None:
        return None
    data = platform.current(environment).data
    return _schema(platform, environment, data["database:db"]) if "database:db" in data else None


def _query(platform: Platform, sql: str) -> list[tuple[Any, ...]]:
    with platform.store.database.read() as session:
        return [tuple(row) for row in session.execute(text(sql))]


def _rows(platform: Platform) -> Iterator[str]:
    yield from (f"lease {lease}" for lease in platform.store.leases.held())
    yield from (f"unended activity {each.id}" for each in platform.store.activities.unended())
    for what, sql in {
        "step that nobody ended": "SELECT activity_id, name FROM steps WHERE state = 'begun'",
        "candidate": "SELECT id FROM deployments WHERE state = 'candidate'",
        "resource": "SELECT activity_id, kind, name FROM resources WHERE state = 'made'",
        "hold": "SELECT name, hold_activity_id FROM environments WHERE hold_activity_id IS NOT NULL",
        "data that nobody has": "SELECT deployment_id FROM deployment_data WHERE deployment_id NOT IN (SELECT id FROM deployments)",
        **(OF_SQLITE if platform.store.database.url.drivername == "sqlite" else {}),
    }.items():
        yield from (f"{what}: {row}" for row in _query(platform, sql))


def _processes(platform: Platform) -> Iterator[str]:
    tags = {f"BRANCHLINE_STEP={row[0]}".encode() for row in _query(platform, "SELECT id FROM activities")}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                marks = tags & set((process / "environ").read_bytes().split(b"\0"))
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if marks:
                yield f"process {process.name}: {command}"


def _files(platform: Platform, home: Home) -> Iterator[str]:
    layout, store = platform.layout, platform.store
    known = {artifact.digest.removeprefix("sha256:") for artifact in store.artifacts.all()}
    stored = {path.name.removesuffix(".tar.zst") for path in layout.artifacts.glob("??/*")}
    activities = {row[0] for row in _query(platform, "SELECT id FROM activities")}
    projects = {f"{project.name}.git" for project in store.environments.projects()}
    yield from (f"artifact without a row: {name}" for name in stored - known)
    yield from (f"artifact without a file: {name}" for name in known - stored)
    yield from (f"tree: {name}" for name in _names(layout.trees) - known)
    yield from (
        f"log: {name}" for name in _names(layout.home / "logs") - {f"{each}.log" for each in activities}
    )
    yield from (f"repository: {name}" for name in _names(layout.home / "repositories") ^ projects)
    yield from (f"lock: {path}" for path in (layout.home / "repositories").rglob("*.lock"))
    for directory in (
        layout.home / "scratch",
        layout.artifacts / "incoming",
        layout.empty,
        home.path / "tmp",
    ):
        yield from (f"left in {directory.name}: {name}" for name in _names(directory))
    rooms = {"state", "repositories", "artifacts", "trees", "logs", "scratch", "empty", "environments"}
    yield from (f"left in home: {name}" for name in _names(layout.home) - rooms)
    state = {"branchline.db", "branchline.db-wal", "branchline.db-shm", "key"}
    yield from (f"left in state: {name}" for name in _names(layout.state.parent) - state)


def _environments(platform: Platform) -> Iterator[str]:
    store = platform.store
    for project in store.environments.projects():
        for environment in store.environments.of(project):
            yield from (f"{environment.path}: {what}" for what in _environment(platform, environment))


def _environment(platform: Platform, environment: Environment) -> Iterator[str]:
    layout, store = platform.layout, platform.store
    root, link = layout.environment(environment), layout.current(environment)
    names = {"current", ".lock", "releases", "databases", "mounts"}
    yield from (f"left there: {name}" for name in _names(root) - names)
    pointed = link.readlink().name if link.is_symlink() else None
    if pointed != environment.deployment_id:
        yield f"current points to {pointed}, its row says {environment.deployment_id}"
    deployments = {each.id for each in store.deployments.of(environment)}
    yield from (f"release {name}" for name in _names(root / "releases") - deployments)
    all_versions = store.deployments.versions(environment)
    yield from _on_servers(platform, environment, all_versions)
    versions = {each.id: each for each in all_versions if not _served(each)}
    found = {path.name: path for kind in ("databases", "mounts") for path in root.glob(f"{kind}/*/*")}
    yield from (f"data without a row: {name}" for name in found.keys() - versions.keys())
    yield from (
        f"data without files: {versions[name].slot} {name}" for name in versions.keys() - found.keys()
    )
    for version in versions.values():
        yield from _version(platform, environment, version)
    if environment.deployment_id is not None:
        yield from _together(platform, environment)


def _served(version: DataVersion) -> bool:
    return version.kind == "database" and service_and_engine(version.name)[1] != "sqlite"


def _on_servers(
    platform: Platform, environment: Environment, versions: Sequence[DataVersion]
) -> Iterator[str]:
    names = {version.name for version in versions if _served(version)}
    for name in names | {f"db:{server.engine}" for server in platform.settings.database_servers.values()}:
        rows = {each.id for each in versions if each.name == name and each.made_by != "adopted"}
        there = set(platform.database(environment, name).names())
        yield from (f"{name} without a row: {each}" for each in there - rows)
        yield from (f"{name} without a database: {each}" for each in rows - there)


def _version(platform: Platform, environment: Environment, version: DataVersion) -> Iterator[str]:
    directory = platform.layout.data(environment, version.slot) / version.id
    if version.kind != "database" or not directory.is_dir():
        return
    names = {"data.db", "data.db-wal", "data.db-shm", "data.db-journal"}
    yield from (f"left in {version.id}: {name}" for name in _names(directory) - names)
    with closing(sqlite3.connect(directory / "data.db")) as database:
        if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            yield f"{version.id} is damaged"


def _together(platform: Platform, environment: Environment) -> Iterator[str]:
    """Code and data of the environment's deployment."""
    deployment = platform.current(environment)
    tree = platform.layout.trees / deployment.digest.removeprefix("sha256:")
    if not tree.is_dir():
        yield "its tree is gone"
        return
    wanted = int((tree / "SCHEMA").read_text()) if (tree / "SCHEMA").exists() else 0
    kind = platform.app(environment.project, deployment.commit).migrations_kind
    for slot, version_id in deployment.data.items():
        version = platform.store.deployments.version(version_id)
        if version.environment_id != environment.id or version.removed_at is not None:
            yield f"its {slot} is not its own, or gone"
        elif slot == "database:db" and kind != "none":
            found = _schema(platform, environment, version_id)
            if found < wanted or (kind == "exclusive" and found != wanted):
                yield f"{kind}: its code wants schema {wanted}, its data have {found}"


def _schema(platform: Platform, environment: Environment, version_id: str) -> int:
    path = platform.layout.data(environment, "database:db") / version_id / "data.db"
    with closing(sqlite3.connect(path)) as database:
        found: int = database.execute("PRAGMA user_version").fetchone()[0]
        return found


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()
