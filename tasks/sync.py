"""Refreshing a lower environment with a higher one's data."""

from branchline.domain.gates import NOTHING, Override
from branchline.platform import Work
from branchline.steps import data
from branchline.steps.promote import Promoted
from tasks.journaled import journaled


@journaled("preflight")
def preflight_sync(
    work: Work,
    source: str,
    policy_ref: str | None,
    *,
    override: Override = NOTHING,
    plan: str | None = None,
) -> Promoted:
    from branchline.steps import sync  # noqa: PLC0415 - 0.2 s of Polars and NumPy that only a sync needs

    running = sync.preflight_sync(work, source, policy_ref, override=override, plan=plan)
    return Promoted(running.commit, running.digest)


@journaled("sanitize the data")
def sanitize_data(work: Work, deployment: str, source: str, policy_ref: str | None) -> None:
    from branchline.steps import sync  # noqa: PLC0415 - as above

    sync.sanitize_data(work, deployment, source, policy_ref)


@journaled("migrate the new data")
def migrate_new_data(work: Work, deployment: str) -> None:
    data.run_deploy_hook(work, deployment)
