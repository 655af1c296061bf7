"""The commit point, and what is finished after it: there is no undo any more, only warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from branchline.domain.environment import DataVersion, Deployment, Environment, may_hold, short_digest
from branchline.domain.retention import releases_to_remove, versions_to_remove
from branchline.errors import BranchlineError, Refused
from branchline.operation import Operation
from branchline.platform import Platform, Work
from branchline.steps.agree import agree
from branchline.steps.data import remove_version
from branchline.steps.projects import guard_pushes
from branchline.steps.told import box


def switch(work: Work, deployment_id: str) -> None:
    """One compare-and-swap puts the candidate's code and data in front, together.

    Raises Refused when raw production data would enter another tier, whatever way it came.
    """
    platform, environment = work.platform, work.environment
    deployment = work.deployment(deployment_id)
    for slot, version_id in deployment.data.items():
        if not may_hold(environment.tier, platform.store.deployments.version(version_id).contents):
            raise Refused(
                205,
                f"Raw production data would enter {environment.path} ({slot}).",
                f"branchline sync {environment.path}",
            )
    keep = timedelta(seconds=platform.plan(environment.project).data_retention)
    platform.store.deployments.commit(work.grip, environment, deployment_id, platform.clock(), backup=keep)
    work.run.detail = f"{environment.path} runs {short_digest(deployment.digest)} of {deployment.commit[:12]}"


def finish(platform: Platform, operation: Operation) -> None:
    """Makes the host agree with the row, moves the branch, releases the hold, runs post_deploy, prunes.

    Everything here is done again without harm: it is what recovery does after a crash behind the switch.
    What fails once the host agrees with the row is a warning: the release stays.
    """
    activity = platform.store.activities.get(operation.id)
    environment = platform.store.environments.get(activity.project, activity.environment)
    platform.store.environments.release_hold(operation.grip, environment.path)
    agree(platform, environment)
    deployment = platform.store.deployments.of_activity(operation.id)
    if deployment is None:
        return
    if deployment.advance_branch:
        with _or_warned(operation, f"branch {environment.branch} was not moved to {deployment.commit[:12]}"):
            platform.repository(environment.project.name).advance(environment.branch, deployment.commit)
    with _or_warned(operation, "pushes are guarded as before"):
        guard_pushes(platform, environment.project)
    with _or_warned(operation, "post_deploy"):
        _run_post_deploy(platform, operation, environment, deployment)
    with _or_warned(operation, "what is not needed any more was not removed"):
        prune(platform, operation, environment)


def prune(platform: Platform, operation: Operation, environment: Environment) -> None:
    """Removes the data versions and release directories that no kept deployment or backup refers to."""
    versions, directories = not_needed(platform, environment)
    for version in versions:
        remove_version(platform, version)
        platform.store.deployments.forget_version(operation.grip, version.id, platform.clock())
    for directory in directories:
        platform.remove_directory(directory)


def not_needed(platform: Platform, environment: Environment) -> tuple[Sequence[DataVersion], Sequence[Path]]:
    """The data versions and release directories that no kept deployment or backup refers to."""
    store = platform.store
    keep = platform.plan(environment.project).kept_deployments
    deployments = store.deployments.of(environment)
    own = store.environments.by_id(environment.id)
    versions = versions_to_remove(
        store.deployments.versions(environment),
        deployments,
        own.deployment_id,
        store.deployments.backed_up(environment, platform.clock()),
        keep,
    )
    old = releases_to_remove(deployments, own.deployment_id, keep)
    directories = [platform.layout.release(environment, deployment.id) for deployment in old]
    return versions, [directory for directory in directories if directory.is_dir()]


def _run_post_deploy(
    platform: Platform, operation: Operation, environment: Environment, deployment: Deployment
) -> None:
    app = platform.app(environment.project, deployment.commit)
    if not app.hooks.post_deploy:
        return
    if operation.cancelled:
        operation.warn("post_deploy did not run to its end: the operation was cancelled")
        return
    operation.making("processes", operation.id)
    platform.sandbox.run(
        app.hooks.post_deploy,
        box(platform, environment, deployment, operation.id),
        timeout=platform.settings.hook_timeout,
        output=operation.output,
    )


@contextmanager
def _or_warned(operation: Operation, what: str) -> Iterator[None]:
    try:
        yield
    except BranchlineError as error:
        operation.warn(f"{what}: {error.message}")
    except OSError as error:
        operation.warn(f"{what}: {error}")
