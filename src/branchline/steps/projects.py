"""Making a project, and saying what its environments run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from branchline.domain.environment import Environment, Project, short_digest
from branchline.domain.names import check_project, environment_id
from branchline.domain.plan import TIERS, Plan
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.ports import ProtectedBranch

THERE_BEFORE = "it was there before pushes were deployed"


@dataclass(frozen=True, slots=True)
class Made:
    project: Project
    repository: Path
    branches: Sequence[str]
    warnings: Sequence[str]
    """What in the source does not fit: branches without a possible environment, a plan's branch that is not there."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that can be rolled back to."""

    id: str
    kind: str
    artifact: str
    commit: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """One environment, for people and machines. Digests and commits are shortened to twelve digits."""

    environment: str
    branch: str
    tier: str
    status: str
    held: bool
    commit: str | None
    artifact: str | None
    deployment: str | None
    deployed_at: datetime | None
    data: str | None
    last_activity: str | None
    current: Path
    deployments: Sequence[Deployed]


def init_project(platform: Platform, name: str, plan_name: str, source: str | None) -> Made:
    """Its bare repository, filled from `source`, and an environment for each branch that its plan names.

    Raises BadInput when there is such a project or plan, or nothing to read at the source; nothing is left then.
    """
    check_project(name)
    existing = {project.name for project in platform.store.environments.projects()}
    if name in existing:
        raise BadInput(330, f"There is a project {name!r} already.", f"branchline status {name}")
    plan = platform.plan(Project(0, name, plan_name))
    repository = platform.layout.repository(name)
    left_out = _create_repository(platform, name, source)
    branches = sorted(platform.repository(name).branches())
    places = [(plan.tiers[tier].branch, tier) for tier in TIERS if tier in plan.tiers]
    project = platform.store.environments.add_project(
        name,
        plan_name,
        platform.clock(),
        [(environment_id(branch), branch, tier) for branch, tier in places if branch is not None],
    )
    guard_pushes(platform, project)
    return Made(project, repository, branches, _misfits(plan, branches, left_out))


def _create_repository(platform: Platform, name: str, source: str | None) -> Sequence[str]:
    """As `Platform.create_repository`; what an `init` that was cut short has made is taken as it is."""
    repository = platform.layout.repository(name)
    if not repository.exists():
        return platform.create_repository(name, source)
    if source is None:
        return ()
    raise BadInput(
        346,
        f"There is a repository {repository} that no project has, as an init that was cut short leaves it.",
        f"branchline init {name} takes it as it is; to fetch again, move it away first",
    )


def _misfits(plan: Plan, branches: Sequence[str], left_out: Sequence[str]) -> list[str]:
    warnings = [f"branch {branch!r} was left out: no environment can have its name" for branch in left_out]
    main = plan.rules("integration").branch
    if branches and main is not None and main not in branches:
        warnings.append(
            f"the plan {plan.name} promotes from branch {main!r}, which the repository does not have: "
            f"push it, or name yours in config/plans.yaml (plans.{plan.name}.tiers.integration.branch)"
        )
    return warnings


def guard_pushes(platform: Platform, project: Project) -> None:
    """Branches that only promotion moves are closed to pushes; until its first deployment one may be made by a push.

    What a push to the others brings is deployed. What they had before is not, until somebody asks for it.
    """
    plan = platform.plan(project)
    tips = platform.repository(project.name).branches()
    platform.store.pushes.remember(project, tips, THERE_BEFORE, platform.clock())
    platform.guard_pushes(
        project.name,
        [
            ProtectedBranch(
                environment.branch,
                f"branchline promote {environment.tier} {project.name}",
                may_be_created=environment.deployment_id is None,
            )
            for environment in platform.store.environments.of(project)
            if not plan.rules(environment.tier).direct_push
        ],
    )


def status_of(platform: Platform, what: str | None) -> Sequence[EnvironmentStatus]:
    """All environments, a project's, or one (`project/environment`). Raises BadInput."""
    environments = platform.store.environments
    if what is None:
        found = [each for project in environments.projects() for each in environments.of(project)]
    elif "/" in what:
        project, _, name = what.partition("/")
        found = [environments.get(project, name)]
    else:
        found = list(environments.of(environments.project(what)))
    return [_status(platform, each) for each in found]


def _status(platform: Platform, environment: Environment) -> EnvironmentStatus:
    store = platform.store
    running = store.deployments.get(environment.deployment_id) if environment.deployment_id else None
    recent = store.activities.recent(environment.project.name, environment.name, 1)
    keep = platform.plan(environment.project).kept_deployments
    return EnvironmentStatus(
        environment=environment.path,
        branch=environment.branch,
        tier=environment.tier,
        status=environment.status,
        held=environment.hold_activity_id is not None,
        commit=running.commit[:12] if running else None,
        artifact=short_digest(running.digest) if running else None,
        deployment=running.id if running else None,
        deployed_at=running.deployed_at if running else None,
        data=_data_in_words(platform, running.data.values()) if running else None,
        last_activity=f"{recent[0].kind}: {recent[0].outcome}" if recent else None,
        current=platform.layout.current(environment),
        deployments=[
            Deployed(
                each.id,
                each.kind,
                short_digest(each.digest),
                each.commit[:12],
                each.deployed_at or each.created_at,
            )
            for each in store.deployments.of(environment)[:keep]
        ],
    )


def _data_in_words(platform: Platform, versions: Iterable[str]) -> str | None:
    found = [platform.store.deployments.version(each) for each in versions]
    if not found:
        return None
    newest = max(found, key=lambda version: version.created_at)
    return f"{newest.contents}, {newest.made_by}"
