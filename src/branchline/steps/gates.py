"""What the gates are asked about an operation, from the rows as they are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from branchline.domain.environment import Deployment, Environment
from branchline.domain.gates import HOLDING, Facts, Front, Override, Seen, Side, Verdict, Way, overridden
from branchline.domain.release import Release
from branchline.platform import Platform
from branchline.steps.approvals import given
from branchline.steps.told import run_time_variables


def facts_for(
    platform: Platform,
    way: Way,
    target: Environment,
    digest: str | None,
    *,
    source: Environment | None = None,
    release: Release | None = None,
) -> Facts:
    """Only what the target's tier asks for is looked up."""
    store, at = platform.store, platform.clock()
    rules, held = platform.plan(target.project).rules(target.tier), HOLDING[way]
    alike = source if rules.parity and "parity" in held else None
    return Facts(
        way=way,
        at=at,
        target=target.path,
        tier=target.tier,
        rules=rules,
        digest=digest,
        bad=_why_bad(platform, target, digest),
        source=source.path if source else None,
        source_bad=_why_bad(platform, source, digest) if source and rules.soak else None,
        fronts=store.deployments.fronts(source) if source and rules.soak and "soak" in held else (),
        seen=_seen(platform, target, digest) if rules.verified_on and "verified" in held else (),
        release=release.id if release else None,
        author=release.author if release else None,
        approvals=given(platform, release) if release and "approval" in held else (),
        source_side=_source_side(platform, alike, target, release) if alike else None,
        target_side=_target_side(platform, target) if alike else None,
        backups=_backups(platform, target, at) if rules.backup_within and "backup" in held else {},
    )


def source_of_direct(platform: Platform, target: Environment) -> Environment | None:
    """The environment that a direct deploy is compared with: the one that a promotion to it would take from."""
    plan = platform.plan(target.project)
    below = plan.rules(target.tier).promoted_from
    branch = plan.rules(below).branch if below else None
    return platform.store.environments.find(target.project, branch) if branch else None


def answered(
    platform: Platform,
    verdicts: Sequence[Verdict],
    facts: Facts,
    override: Override,
    retry_bad: str | None,
    actor: str,
) -> tuple[Verdict, ...]:
    """With what the actor takes responsibility for. Raises Refused where the actor may not."""
    ui_actor = platform.settings.ui_actor
    return tuple(
        replace(each, override_by=actor) if each.gate == "bad-artifact" and each.holds and retry_bad else each
        for each in overridden(verdicts, facts, override, actor, ui_actor)
    )


def _why_bad(platform: Platform, environment: Environment, digest: str | None) -> str | None:
    return platform.store.artifacts.why_bad(environment, digest) if digest else None


def _seen(platform: Platform, target: Environment, digest: str | None) -> tuple[Seen, ...]:
    tier = platform.plan(target.project).rules(target.tier).verified_on
    return tuple(
        Seen(
            each.path,
            _was_in_front(platform.store.deployments.fronts(each), digest),
            _why_bad(platform, each, digest),
        )
        for each in platform.store.environments.of(target.project)
        if each.tier == tier
    )


def _was_in_front(fronts: Sequence[Front], digest: str | None) -> bool:
    return any(each.digest == digest for each in fronts)


def _source_side(
    platform: Platform, source: Environment, target: Environment, release: Release | None
) -> Side:
    running = platform.current(source) if source.deployment_id else None
    commit = release.commit if release else running.commit if running else None
    reference = platform.current(target).digest if target.deployment_id else None
    return Side(
        variables=_variables(platform, source),
        services=_services(platform, source, commit),
        schemas=platform.store.deployments.schemas_with(source, reference) if reference else {},
    )


def _target_side(platform: Platform, target: Environment) -> Side | None:
    if target.deployment_id is None:
        return None
    running = platform.current(target)
    return Side(
        variables=_variables(platform, target),
        services=_services(platform, target, running.commit),
        schemas={
            slot: platform.store.deployments.version(version).fingerprint
            for slot, version in running.data.items()
            if slot.startswith("database:")
        },
    )


def _variables(platform: Platform, environment: Environment) -> frozenset[str]:
    return frozenset(
        each.environment_name for each in run_time_variables(platform, environment) if each.at_run
    )


def _services(platform: Platform, environment: Environment, commit: str | None) -> Mapping[str, str]:
    if commit is None:
        return {}
    services = platform.app(environment.project, commit).services
    return {name: service.type for name, service in services.items()}


def _backups(platform: Platform, target: Environment, now: datetime) -> Mapping[str, datetime | None]:
    if target.deployment_id is None:
        return {}
    running: Deployment = platform.current(target)
    slots = [slot for slot in running.data if slot.startswith("database:")] or list(running.data)
    made = platform.store.deployments.newest_backups(target, now)
    return {slot: made.get(slot) for slot in slots}
