"""Back to an earlier deployment: code at once; data only when a person says that writes may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from branchline.domain.environment import Deployment, Environment, short_digest
from branchline.errors import Refused
from branchline.platform import Platform, Work


@dataclass(frozen=True, slots=True)
class Return:
    """Where a rollback goes: an earlier deployment's commit and artifact, and the data they will meet."""

    commit: str
    digest: str
    data: Mapping[str, str]


def preflight_rollback(work: Work, to: str | None, *, discard_writes: bool) -> Return:
    """The deployment before the current one, or the one whose id begins with `to`.

    Raises Refused when the old code would meet a schema it does not know and writes may not be discarded;
    the message says since when they would be lost.
    """
    current, earlier, data = earlier_deployment(
        work.platform, work.environment, to, discard_writes=discard_writes
    )
    work.platform.store.activities.deploys(work.grip, earlier.commit, work.platform.clock())
    work.run.detail = f"{short_digest(current.digest)} -> {short_digest(earlier.digest)} ({earlier.id})"
    return Return(earlier.commit, earlier.digest, data)


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
    if changed:
        since = max(versions(current.data[slot]).created_at for slot in changed)
        raise Refused(
            208,
            f"The code of {earlier.id} does not know the schema of {', '.join(changed)}: it was migrated since. "
            f"Going back with its data would lose what was written since {since:%Y-%m-%d %H:%M:%S} UTC.",
            f"branchline rollback {environment.path} --to {earlier.id} --discard-writes",
        )
    return current.data


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
    return before[0]
