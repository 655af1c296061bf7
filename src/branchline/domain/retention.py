"""What may be removed: nothing that an environment's newest deployments or a backup refer to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from branchline.domain.environment import DataVersion, Deployment


def kept(deployments: Sequence[Deployment], current_id: str | None, keep: int) -> Sequence[Deployment]:
    """The newest `keep` deployments, and the one that runs, of a sequence with the newest first."""
    return [each for place, each in enumerate(deployments) if place < keep or each.id == current_id]


def versions_to_remove(
    versions: Sequence[DataVersion],
    deployments: Sequence[Deployment],
    current_id: str | None,
    backed_up: Collection[str],
    keep: int,
) -> Sequence[DataVersion]:
    """Data versions of an environment that a rollback or restore could not reach any more."""
    reachable = {version for each in kept(deployments, current_id, keep) for version in each.data.values()}
    return [each for each in versions if each.id not in reachable and each.id not in backed_up]


def releases_to_remove(
    deployments: Sequence[Deployment], current_id: str | None, keep: int
) -> Sequence[Deployment]:
    """Deployments whose release directories are not needed: the artifact's tree stays."""
    return [each for each in deployments if each not in kept(deployments, current_id, keep)]
