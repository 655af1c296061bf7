"""Back to an earlier deployment: code at once; data only when a person says that writes may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from branchline.domain.environment import Deployment, Environment, service_and_engine, short_digest
from branchline.errors import Refused
from branchline.platform import Platform, Work
from branchline.steps.assessment import Assessment, decide, place, settings_of
from branchline.steps.gates import facts_for


@dataclass(frozen=True, slots=True)
class Return:
    """Where a rollback goes: an earlier deployment's commit and artifact, and the data they will meet."""

    commit: str
    digest: str
    data: Mapping[str, str]


def preflight_rollback(
    work: Work,
    to: str | None,
    *,
    discard_writes: bool,
    retry_bad: str | None = None,
    plan: str | None = None,
) -> Return:
    """The deployment before the current one, or the one whose id begins with `to`.

    Raises Refused when the old code would meet a schema it does not know and writes may not be discarded;
    the message says since when they would be lost. Raises Refused when its artifact failed here before.
    """
    platform, environment = work.platform, work.environment
    current, earlier, data = earlier_deployment(platform, environment, to, discard_writes=discard_writes)
    platform.store.activities.deploys(work.grip, earlier.commit, platform.clock())
    decide(
        work,
        assess_rollback(platform, environment, earlier, data),
        226,
        f"Rolling {environment.path} back to {earlier.id}",
        f"branchline plan rollback {environment.path}",
        retry_bad=retry_bad,
        plan=plan,
    )
    work.run.detail = f"{short_digest(current.digest)} -> {short_digest(earlier.digest)} ({earlier.id})"
    return Return(earlier.commit, earlier.digest, data)


def assess_rollback(
    platform: Platform, environment: Environment, earlier: Deployment, data: Mapping[str, str]
) -> Assessment:
    """What going back to this deployment, with these data, would be now."""
    return Assessment(
        facts=facts_for(platform, "rollback", environment, earlier.digest),
        against=(),
        skip=None,
        commit=earlier.commit,
        basis={
            "kind": "rollback",
            "target": place(platform, environment),
            "to": earlier.id,
            "data": dict(data),
            "artifact": earlier.digest,
            "settings": settings_of(platform, environment, earlier.commit),
        },
    )


def earlier_deployment(
    platform: Platform, environment: Environment, to: str | None, *, discard_writes: bool
) -> tuple[Deployment, Deployment, Mapping[str, str]]:
    """The current deployment, the one to go back to, and the data that its code will meet."""
    current = platform.current(environment)
    earlier = _earlier(platform, environment, current, to)
    return current, earlier, _data_for(platform, environment, current, earlier, discard_writes=discard_writes)


def _data_for(
    platform: Platform,
    environment: Environment,
    current: Deployment,
    earlier: Deployment,
    *,
    discard_writes: bool,
) -> Mapping[str, str]:
    """The current data while the earlier code knows its schema; with `discard_writes`, the data it had then.

    Raises Refused.
    """
    versions = platform.store.deployments.version
    if discard_writes:
        gone = sorted(slot for slot, version in earlier.data.items() if versions(version).removed_at)
        if gone:
            raise Refused(
                207,
                f"The data that {earlier.id} had is not kept any more: {', '.join(gone)}.",
                "roll back the code only, without --discard-writes",
            )
        return {**current.data, **earlier.data}
    changed = [
        slot
        for slot, version in current.data.items()
        if slot.startswith("database:")
        and slot in earlier.data
        and versions(version).fingerprint != versions(earlier.data[slot]).fingerprint
    ]
    changed += _other_engines(platform, environment, current, earlier)
    if changed:
        since = max(versions(current.data[slot]).created_at for slot in changed)
        raise Refused(
            208,
            f"The code of {earlier.id} does not know the schema of {', '.join(changed)}: it was migrated since. "
            f"Going back with its data would lose what was written since {since:%Y-%m-%d %H:%M:%S} UTC.",
            f"branchline rollback {environment.path} --to {earlier.id} --discard-writes",
        )
    return current.data


def _other_engines(
    platform: Platform, environment: Environment, current: Deployment, earlier: Deployment
) -> list[str]:
    """The current databases whose service had another engine for the earlier code: it would meet its old data."""
    now, then = (platform.app(environment.project, each.commit).database_slots for each in (current, earlier))
    services = {service_and_engine(slot.partition(":")[2])[0] for slot in then}
    return [
        slot
        for slot in now
        if slot not in then
        and service_and_engine(slot.partition(":")[2])[0] in services
        and slot in current.data
    ]


def _earlier(platform: Platform, environment: Environment, current: Deployment, to: str | None) -> Deployment:
    if to is not None:
        return platform.store.deployments.find(environment, to)
    deployments = platform.store.deployments.of(environment)
    before = [each for each in deployments if each.digest != current.digest]
    if not before:
        raise Refused(
            209,
            f"{environment.path} has run no other artifact that could be gone back to.",
            f"branchline status {environment.path}",
        )
    bad = platform.store.artifacts.why_bad
    return next((each for each in before if bad(environment, each.digest) is None), before[0])
