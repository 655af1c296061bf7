"""The candidate: its row, its artifact's tree at hand, its place among the releases. Nothing serves from it yet."""

from __future__ import annotations

from collections.abc import Mapping

from branchline.domain.environment import Deployment, short_digest
from branchline.operation import new_id
from branchline.platform import Work
from branchline.steps.told import settings_fingerprint


def prepare_release(
    work: Work,
    commit: str,
    digest: str,
    *,
    advance_branch: bool = False,
    data: Mapping[str, str] | None = None,
) -> str:
    """The id of the new candidate deployment; with the current data unless `data` names other versions.

    The artifact's tree lies on the host once per digest: a promotion or rollback copies no file.
    """
    platform, environment, operation = work.platform, work.environment, work.operation
    current = platform.current(environment) if environment.deployment_id else None
    candidate = Deployment(
        id=new_id("d"),
        environment_id=environment.id,
        kind=work.activity.kind,
        state="candidate",
        commit=commit,
        tree=platform.repository(environment.project.name).resolve(commit).tree,
        digest=digest,
        settings=settings_fingerprint(platform, environment, platform.app(environment.project, commit)),
        advance_branch=advance_branch,
        activity_id=operation.id,
        previous_id=current.id if current else None,
        created_at=platform.clock(),
        deployed_at=None,
        data=data if data is not None else (current.data if current else {}),
    )
    platform.store.deployments.add_candidate(work.grip, candidate)
    operation.making("tree", digest)
    tree = platform.trees.at_hand(digest)
    operation.making("release", f"{environment.path}/{candidate.id}")
    directory = platform.layout.release(environment, candidate.id)
    directory.mkdir(parents=True)
    (directory / "app").symlink_to(tree)
    work.run.detail = f"{candidate.id}: artifact {short_digest(digest)}"
    return candidate.id
