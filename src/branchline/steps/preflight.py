"""What must hold before anything is made: nothing destructive happens before these have passed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta

from branchline.domain.app import App
from branchline.domain.environment import Deployment, Environment, Tier, short_digest
from branchline.domain.gates import NOTHING, Override
from branchline.domain.names import check_ref, environment_id
from branchline.domain.plan import slot, tier_of
from branchline.errors import BadInput, Refused
from branchline.platform import Platform, Work
from branchline.ports import Commit
from branchline.steps.agree import agree
from branchline.steps.assessment import Assessment, Reason, decide, place, settings_of
from branchline.steps.build import key_of
from branchline.steps.data import ADOPTED
from branchline.steps.gates import facts_for, source_of_direct
from branchline.steps.told import settings_fingerprint

MIGRATED_BYTES_PER_SECOND = 50_000_000
"""A careful guess of how fast a database is cloned: SQLite's backup to a spinning disk."""


def ensure_environment(platform: Platform, project_name: str, name: str) -> Environment:
    """The environment of that name or branch; made, inactive, when there is only the branch.

    Raises BadInput when there is neither.
    """
    environments = platform.store.environments
    project = environments.project(project_name)
    found = environments.find(project, name)
    if found is not None:
        return found
    branches = platform.repository(project.name).branches()
    branch = (
        name if name in branches else next((each for each in branches if environment_id(each) == name), None)
    )
    if branch is None:
        return environments.get(project_name, name)
    tier = tier_of(platform.plan(project), branch)
    return environments.add(project, environment_id(branch), branch, tier, "inactive", platform.clock())


def preflight_deploy(
    work: Work,
    ref: str | None,
    *,
    force: bool,
    retry_bad: str | None,
    override: Override = NOTHING,
    plan: str | None = None,
) -> str:
    """The id of the commit to deploy; the operation is marked as skipped when it runs already.

    Raises BadInput for what is wrong with the commit, Refused with all reasons and gates at once.
    """
    platform, environment = work.platform, work.environment
    commit = deployable_commit(platform, environment, ref)
    platform.store.activities.deploys(work.grip, commit.id, platform.clock())
    work.operation.making("processes", work.operation.id)
    assessment = assess_deploy(platform, environment, commit.id, work.operation.id)
    decide(
        work,
        assessment,
        201,
        f"Deploying {commit.id[:12]} to {environment.path}",
        f"branchline plan deploy {environment.path}",
        force=force,
        retry_bad=retry_bad,
        override=override,
        plan=plan,
    )
    if work.operation.skipped:
        platform.trees.at_hand(assessment.digest or "")
        agree(platform, environment)
    else:
        for warning in platform.app(environment.project, commit.id).warnings:
            work.operation.warn(warning)
    work.run.detail = f"{commit.id[:12]} {commit.subject}"
    return commit.id


def assess_deploy(platform: Platform, environment: Environment, commit: str, tag: str = "") -> Assessment:
    """What a deploy of this commit would be now. Processes that find out have this tag."""
    key = key_of(platform, environment.project, commit, tag).digest
    artifact = platform.store.artifacts.of_key(key)
    digest = artifact.digest if artifact else None
    again = environment.deployment_id is not None and platform.current(environment).digest == digest
    source = source_of_direct(platform, environment)
    return Assessment(
        facts=facts_for(platform, "redeploy" if again else "deploy", environment, digest, source=source),
        against=reasons_against(platform, environment, commit),
        skip=already_runs(platform, environment, commit, digest),
        commit=commit,
        basis={
            "kind": "deploy",
            "target": place(platform, environment),
            "tip": platform.repository(environment.project.name).branches().get(environment.branch),
            "build": key,
            "settings": settings_of(platform, environment, commit),
        },
    )


def deployable_commit(platform: Platform, environment: Environment, ref: str | None) -> Commit:
    """The commit that a deploy of the ref means; without a ref, the tip of the branch, or what runs
    where only promotion changes the code. Raises BadInput or Refused.
    """
    repository = platform.repository(environment.project.name)
    plan = platform.plan(environment.project)
    if ref is not None:
        check_ref(ref)
    if (
        environment.tier != "integration"
        and environment.deployment_id is not None
        and not plan.rules(environment.tier).direct_push
    ):
        running = platform.current(environment)
        if ref is not None and repository.resolve(ref).id != running.commit:
            raise Refused(
                202,
                f"The code of {environment.path} changes by promotion only; a deploy there redeploys what runs.",
                f"branchline promote {environment.tier} {environment.project.name}",
            )
        return repository.resolve(running.commit)
    tip = repository.branches().get(environment.branch)
    if tip is None:
        raise BadInput(
            203,
            f"The repository of {environment.project.name} has no branch {environment.branch!r}.",
            f"push it, or fill it by promotion: branchline plan promote {environment.tier} {environment.project.name}"
            if environment.tier != "integration"
            else f"git push <remote> HEAD:{environment.branch}",
        )
    commit = repository.resolve(ref or tip)
    if repository.missing_from(tip, commit.id):
        raise Refused(
            204,
            f"Commit {commit.id[:12]} is not on branch {environment.branch!r}, whose environment this is.",
            f"merge it into {environment.branch} and push",
        )
    return commit


def reasons_against(platform: Platform, environment: Environment, commit: str) -> list[Reason]:
    """What speaks, beside gates, against putting this commit on this environment now."""
    app = platform.app(environment.project, commit)
    found = [
        *_no_slot(platform, environment),
        *_unconfined(platform, environment),
        *map(Reason, _databases(platform, environment, app)),
    ]
    free = shutil.disk_usage(platform.layout.home).free
    if free < platform.settings.disk_floor:
        words = f"only {free // 1_000_000} MB are free; {platform.settings.disk_floor // 1_000_000} MB must stay free"
        found.append(Reason(words, about="disk"))
    if app.migrations_kind == "exclusive":
        hold = expected_hold(platform, environment)
        limit = platform.plan(environment.project).hold_limit
        if hold > timedelta(seconds=limit):
            words = (
                f"cloning its databases would hold requests for about {hold.total_seconds():.0f} s, "
                f"over the plan's {limit:.0f} s (migrations: compatible needs no clone)"
            )
            found.append(Reason(words, about="hold"))
    return found


def _databases(platform: Platform, environment: Environment, app: App) -> Iterator[str]:
    """What speaks against the databases that the application would have there."""
    data = platform.current(environment).data if environment.deployment_id is not None else {}
    for slot_name, service in app.database_slots.items():
        name = slot_name.partition(":")[2]
        yield from platform.databases.problems(environment, name, service)
        adopted = platform.databases.adopted(environment, name)
        if adopted and app.migrations_kind == "exclusive":
            yield (
                f"migrations: exclusive works on a clone, and {slot_name} of {environment.path} is adopted, which is never "
                "cloned (migrations: compatible or none)"
            )
        made_by = platform.store.deployments.version(data[slot_name]).made_by if slot_name in data else None
        if made_by is not None and adopted != (made_by == ADOPTED):
            yield (
                f"{slot_name} of {environment.path} is adopted, and there is no line for it in adopted_databases any more"
                if made_by == ADOPTED
                else f"{slot_name} of {environment.path} is in adopted_databases, and Branchline has made it a database of "
                "its own already: a database is adopted before the first deployment that has it"
            )


def expected_hold(platform: Platform, environment: Environment) -> timedelta:
    """How long the clones of an exclusive migration are expected to take, from the databases' sizes."""
    if environment.deployment_id is None:
        return timedelta(0)
    size = sum(
        platform.database(environment, name).size(version)
        for name, version in databases(platform, environment).items()
    )
    return timedelta(seconds=size / MIGRATED_BYTES_PER_SECOND)


def databases(platform: Platform, environment: Environment) -> Mapping[str, str]:
    """The data version of each database that the running application reaches, by its name."""
    running = platform.current(environment)
    reached = platform.app(environment.project, running.commit).database_slots
    return {
        slot_name.partition(":")[2]: running.data[slot_name]
        for slot_name in reached
        if slot_name in running.data
    }


def already_runs(platform: Platform, environment: Environment, commit: str, digest: str | None) -> str | None:
    """Why a deploy would change nothing; None when it would."""
    if environment.deployment_id is None or digest is None:
        return None
    running = platform.current(environment)
    app = platform.app(environment.project, commit)
    if running.digest != digest or running.settings != settings_fingerprint(platform, environment, app):
        return None
    return f"{environment.path} runs artifact {short_digest(digest)} with these settings already"


def _no_slot(platform: Platform, environment: Environment) -> list[Reason]:
    if environment.status == "active":
        return []
    counts: dict[Tier, int] = {}
    for other in platform.store.environments.of(environment.project):
        if other.status != "inactive":
            counts[other.tier] = counts.get(other.tier, 0) + 1
    reason = slot(platform.plan(environment.project), environment.tier, counts)
    words = f"{reason} (free one: branchline deactivate {environment.project.name}/NAME)"
    return [Reason(words)] if reason else []


def _unconfined(platform: Platform, environment: Environment) -> list[Reason]:
    required = platform.plan(environment.project).rules(environment.tier).sandbox_required
    if not required or platform.sandbox.kind != "none" or platform.settings.production_without_sandbox:
        return []
    return [
        Reason(
            f"there is no sandbox on this host, and {environment.tier} does not run without one "
            "(install bubblewrap, or set production_without_sandbox: true in config/branchline.yaml)"
        )
    ]


def healthy_source(platform: Platform, source: Environment) -> tuple[Deployment | None, list[str]]:
    """What the source runs, and what speaks against promoting it."""
    if source.deployment_id is None:
        return None, [f"nothing is deployed on {source.path}"]
    deployment = platform.current(source)
    if source.status != "active":
        return deployment, [f"{source.path} is {source.status}"]
    bad = platform.store.artifacts.why_bad(source, deployment.digest)
    return deployment, [f"{source.path} is not healthy: {bad}"] if bad else []
