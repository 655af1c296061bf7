"""What runs on the source is put on the target: never a rebuild, never a branch tip that nobody tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from branchline.domain.environment import Deployment, Environment
from branchline.domain.names import environment_id
from branchline.domain.plan import source_of, target_of
from branchline.errors import BadInput
from branchline.platform import Platform, Work
from branchline.steps.preflight import Reasons, already_runs, healthy_source, reasons_against

TargetTier = Literal["staging", "production"]
MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion carries: the commit, and the artifact that was built for it."""

    commit: str
    digest: str


def promotion_pair(
    platform: Platform, project_name: str, target: TargetTier, source: str | None
) -> tuple[Environment, Environment]:
    """The environments of a promotion, source first. The target's is made, inactive, when there is none yet.

    Raises BadInput when there is no such source, Refused when the plan promotes from elsewhere.
    """
    environments = platform.store.environments
    project = environments.project(project_name)
    plan = platform.plan(project)
    asked = environments.get(project_name, source).branch if source else None
    from_branch, to_branch = source_of(plan, target, asked), target_of(plan, target)
    found = environments.find(project, to_branch)
    if found is None:
        found = environments.add(
            project, environment_id(to_branch), to_branch, target, "inactive", platform.clock()
        )
    return environments.get(project_name, from_branch), found


def preflight_promotion(work: Work, source_path: str, *, force: bool, retry_bad: str | None) -> Promoted:
    """What is promoted; the operation is marked as skipped when the target runs it already.

    Raises Refused with every reason at once.
    """
    platform, target = work.platform, work.environment
    source = environment_at(platform, source_path)
    deployment, found = healthy_source(platform, source)
    if deployment:
        platform.store.activities.deploys(work.grip, deployment.commit, platform.clock())
    if deployment and retry_bad:
        platform.store.artifacts.lift(work.grip, target, deployment.digest, retry_bad, platform.clock())
    if deployment:
        found = [*found, *reasons_against_promotion(platform, target, deployment)]
    Reasons(found).refuse(
        206,
        f"Promoting {source.path} to {target.path}",
        f"branchline plan promote {target.tier} {target.project.name}",
    )
    assert deployment is not None
    why = already_runs(platform, target, deployment.commit, deployment.digest)
    if why and not force:
        work.operation.skip(why)
    work.run.detail = f"{source.path} -> {target.path}: {deployment.commit[:12]}"
    return Promoted(deployment.commit, deployment.digest)


def reasons_against_promotion(platform: Platform, target: Environment, deployment: Deployment) -> list[str]:
    """Its artifact is bad for the target; the target has commits that the source lacks; what speaks against any deploy."""
    found = list(reasons_against(platform, target, deployment.commit, deployment.digest).found)
    repository = platform.repository(target.project.name)
    tip = repository.branches().get(target.branch)
    lacking = repository.missing_from(deployment.commit, tip)
    if lacking:
        listed = "".join(f"\n      {each.id[:12]} {each.subject}" for each in lacking[:MOST_LISTED])
        more = f"\n      and {len(lacking) - MOST_LISTED} more" if len(lacking) > MOST_LISTED else ""
        found.append(
            f"branch {target.branch} has {len(lacking)} commits that the source lacks; merge them first:{listed}{more}"
        )
    return found


def environment_at(platform: Platform, path: str) -> Environment:
    """By `project/environment`. Raises BadInput."""
    project, slash, name = path.partition("/")
    if not slash:
        raise BadInput(342, f"{path!r} is not of the form project/environment.", "branchline status")
    return platform.store.environments.get(project, name)
