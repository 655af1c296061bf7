"""What runs on the source is put on the target: never a rebuild, never a branch tip that nobody tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from branchline.domain.environment import Environment, short_digest
from branchline.domain.gates import NOTHING, Override
from branchline.domain.names import environment_id
from branchline.domain.plan import source_of, target_of
from branchline.domain.release import Release
from branchline.errors import BadInput
from branchline.platform import Platform, Work
from branchline.steps.assessment import Assessment, Reason, decide, place, settings_of
from branchline.steps.gates import facts_for
from branchline.steps.preflight import already_runs, healthy_source, reasons_against

TargetTier = Literal["staging", "production"]
MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion carries: the commit, and the artifact that was built for it.

    `runs_on_source`: its health can be asked there, because it is in front.
    """

    commit: str
    digest: str
    runs_on_source: bool = True


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


def preflight_promotion(
    work: Work,
    source_path: str,
    *,
    force: bool,
    retry_bad: str | None,
    override: Override = NOTHING,
    plan: str | None = None,
    release: str | None = None,
) -> Promoted:
    """What is promoted; the operation is marked as skipped when the target runs it already.

    With a release, what that has pinned: it must have been in front on the source, and need not be any more.
    Raises Refused with every reason and gate at once; Held when only gates hold that time or people can open.
    """
    platform, target = work.platform, work.environment
    source = environment_at(platform, source_path)
    pinned = platform.store.releases.get(release) if release else None
    assessment = assess_promotion(platform, source, target, pinned)
    if assessment.commit:
        platform.store.activities.deploys(work.grip, assessment.commit, platform.clock())
    decide(
        work,
        assessment,
        206,
        f"Promoting {source.path} to {target.path}",
        f"branchline plan promote {target.tier} {target.project.name}",
        force=force,
        retry_bad=retry_bad,
        override=override,
        plan=plan,
    )
    commit, digest = assessment.commit, assessment.digest
    assert commit is not None
    assert digest is not None
    work.run.detail = f"{source.path} -> {target.path}: {commit[:12]}"
    runs = source.deployment_id is not None and platform.current(source).digest == digest
    return Promoted(commit, digest, runs_on_source=runs)


def assess_promotion(
    platform: Platform, source: Environment, target: Environment, release: Release | None = None
) -> Assessment:
    """What a promotion of what the source runs would be now; or of what a release has pinned."""
    running, against = healthy_source(platform, source)
    commit = release.commit if release else running.commit if running else None
    digest = release.digest if release else running.digest if running else None
    if release:
        against = _against_pinned(platform, source, release)
    repository = platform.repository(target.project.name)
    return Assessment(
        facts=facts_for(
            platform, "release" if release else "promotion", target, digest, source=source, release=release
        ),
        against=[
            *map(Reason, against),
            *(reasons_against_promotion(platform, target, commit) if commit else ()),
        ],
        skip=already_runs(platform, target, commit, digest) if commit else None,
        commit=commit,
        basis={
            "kind": "promote",
            "source": place(platform, source),
            "target": place(platform, target),
            "release": [release.id, release.revision] if release else None,
            "artifact": digest,
            "tip": repository.branches().get(target.branch),
            "settings": settings_of(platform, target, commit) if commit else None,
        },
    )


def reasons_against_promotion(platform: Platform, target: Environment, commit: str) -> list[Reason]:
    """The target has commits that the source lacks; and what speaks against any deploy."""
    found = reasons_against(platform, target, commit)
    repository = platform.repository(target.project.name)
    tip = repository.branches().get(target.branch)
    lacking = repository.missing_from(commit, tip)
    if lacking:
        listed = "".join(f"\n      {each.id[:12]} {each.subject}" for each in lacking[:MOST_LISTED])
        more = f"\n      and {len(lacking) - MOST_LISTED} more" if len(lacking) > MOST_LISTED else ""
        words = f"branch {target.branch} has {len(lacking)} commits that the source lacks; merge them first:{listed}{more}"
        found.append(Reason(words))
    return found


def _against_pinned(platform: Platform, source: Environment, release: Release) -> list[str]:
    if release.digest is None or release.commit is None:
        return [f"release {release.id} has pinned no artifact"]
    what = f"artifact {short_digest(release.digest)}"
    if release.digest not in platform.artifacts.digests():
        return [f"{what} is gone"]
    if all(each.digest != release.digest for each in platform.store.deployments.fronts(source)):
        return [f"{what} was never in front on {source.path}"]
    bad = platform.store.artifacts.why_bad(source, release.digest)
    return [f"{what} is not healthy on {source.path}: {bad}"] if bad else []


def environment_at(platform: Platform, path: str) -> Environment:
    """By `project/environment`. Raises BadInput."""
    project, slash, name = path.partition("/")
    if not slash:
        raise BadInput(342, f"{path!r} is not of the form project/environment.", "branchline status")
    return platform.store.environments.get(project, name)
