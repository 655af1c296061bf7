"""An environment gives its slot back. Its branch and variables stay; its data are kept as a backup."""

from __future__ import annotations

from datetime import timedelta

from branchline.errors import Refused
from branchline.platform import Work


def deactivate(work: Work) -> None:
    """The commit point of a deactivation; skipped when it is inactive already. Raises Refused for Production."""
    platform, environment = work.platform, work.environment
    if environment.tier == "production":
        raise Refused(
            210, f"{environment.path} is Production, which is never deactivated.", "branchline status"
        )
    if environment.status == "inactive":
        work.operation.skip(f"{environment.path} is inactive already")
        return
    keep = timedelta(seconds=platform.plan(environment.project).backup_retention)
    platform.store.deployments.commit_status(work.grip, environment, "inactive", platform.clock(), keep)
    work.run.detail = f"its data are kept for {keep.days} days"
