"""The candidate's data: new slots begin empty; an `exclusive` migration works on a clone; the deploy hook runs here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from branchline.domain.app import App
from branchline.domain.environment import Contents, DataVersion, Deployment, Environment, contents_of_new
from branchline.operation import new_id
from branchline.platform import Platform, Work
from branchline.steps.agree import show_hold
from branchline.steps.told import box, write_files

ADOPTED = "adopted"
"""How a version came about that only stands for a database which was there before."""


def prepare_data(work: Work, deployment_id: str) -> None:
    """Makes what the application's `migrations` asks for, runs the deploy hook on it, and tells the candidate.

    `none` and `compatible` leave the data where it is, and the hook works in place; `exclusive` holds
    requests and lets the hook work on a clone, so that a failure leaves the old data as it was.
    """
    platform, environment = work.platform, work.environment
    deployment = work.deployment(deployment_id)
    app = platform.app(environment.project, deployment.commit)
    made = [make_version(work, deployment, slot) for slot in slots(app) if slot not in deployment.data]
    if app.migrations_kind == "exclusive" and app.hooks.deploy:
        made += _clone(work, deployment, app, made)
    run_deploy_hook(work, deployment_id)
    work.run.detail = _in_words(app, made)


def keep_data(work: Work, deployment_id: str) -> None:
    """For a rollback: the code meets the data that was chosen for it, and no hook runs."""
    platform, environment = work.platform, work.environment
    deployment = work.deployment(deployment_id)
    app = platform.app(environment.project, deployment.commit)
    for slot in slots(app):
        if slot not in deployment.data:
            make_version(work, deployment, slot)
    write_files(platform, environment, work.deployment(deployment_id))


def run_deploy_hook(work: Work, deployment_id: str) -> None:
    """Runs it on the candidate's data, then notes each database's schema."""
    platform, environment = work.platform, work.environment
    deployment = work.deployment(deployment_id)
    app = platform.app(environment.project, deployment.commit)
    write_files(platform, environment, deployment)
    if app.hooks.deploy:
        work.operation.making("processes", work.operation.id)
        platform.sandbox.run(
            app.hooks.deploy,
            box(platform, environment, deployment, work.operation.id),
            timeout=platform.settings.hook_timeout,
            output=work.operation.output,
        )
    for slot in app.database_slots:
        version = deployment.data[slot]
        with platform.database(environment, slot.partition(":")[2]).snapshot(version) as snapshot:
            fingerprint = snapshot.schema().fingerprint
        platform.store.deployments.set_fingerprint(work.grip, version, fingerprint)


def slots(app: App) -> Iterable[str]:
    """The databases and mounts that an application needs, by their slots."""
    return [*app.database_slots, *(f"mount:{path}" for path in sorted(app.mounts))]


def make_version(
    work: Work,
    deployment: Deployment,
    slot: str,
    *,
    made_by: str = "created",
    contents: Contents | None = None,
    parent: str | None = None,
    clone: bool = False,
) -> DataVersion:
    """Records a version, makes it, empty or as its parent's clone, and gives it to the candidate."""
    platform, environment = work.platform, work.environment
    kind, _, name = slot.partition(":")
    if kind == "database" and made_by == "created" and platform.databases.adopted(environment, name):
        made_by = ADOPTED
    version = DataVersion(
        id=new_id("v"),
        environment_id=environment.id,
        slot=slot,
        contents=contents or contents_of_new(environment.tier),
        made_by=made_by,
        parent_id=parent,
        fingerprint=None,
        activity_id=work.operation.id,
        created_at=platform.clock(),
    )
    platform.store.deployments.add_version(work.grip, version, deployment.id)
    if version.kind == "mount":
        platform.layout.mount(environment, version).mkdir(mode=0o700, parents=True)
    else:
        database = platform.database(environment, version.name)
        if clone and parent is not None:
            database.clone(parent, version.id)
        else:
            database.create(version.id)
    return version


def remove_version(platform: Platform, version: DataVersion) -> None:
    """What it is made of; content when that is gone. An adopted database stays."""
    if version.made_by == ADOPTED:
        return
    environment = platform.store.environments.by_id(version.environment_id)
    if version.kind == "mount":
        platform.remove_directory(platform.layout.mount(environment, version))
    else:
        platform.database(environment, version.name).remove(version.id)


def hold(work: Work, environment: Environment) -> None:
    """Requests wait from now until this operation's end."""
    work.operation.making("hold", environment.path)
    work.platform.store.environments.hold(work.grip, environment)
    show_hold(work.platform, replace(environment, hold_activity_id=work.operation.id))


def _clone(work: Work, deployment: Deployment, app: App, new: Iterable[DataVersion]) -> list[DataVersion]:
    fresh = {version.slot for version in new}
    old = {
        slot: work.platform.store.deployments.version(deployment.data[slot])
        for slot in app.database_slots
        if slot not in fresh
    }
    if not old:
        return []
    hold(work, work.environment)
    return [
        make_version(
            work, deployment, slot, made_by="clone", contents=each.contents, parent=each.id, clone=True
        )
        for slot, each in old.items()
    ]


def _in_words(app: App, made: list[DataVersion]) -> str:
    clones = [version.slot for version in made if version.made_by == "clone"]
    fresh = [version.slot for version in made if version.made_by == "created"]
    adopted = [version.slot for version in made if version.made_by == ADOPTED]
    words = [f"migrations: {app.migrations_kind}"]
    if clones:
        words.append(f"cloned {', '.join(clones)}")
    if fresh:
        words.append(f"new {', '.join(fresh)}")
    if adopted:
        words.append(f"adopted {', '.join(adopted)}")
    return "; ".join(words)
