"""What the two promotions have in common: everything but their names."""

from branchline.domain.gates import Override
from branchline.steps.preview import Preview
from branchline.steps.promote import TargetTier
from branchline.steps.summary import Summary
from tasks.deploy import check_candidate, finish, prepare_data, prepare_release, switch
from tasks.operate import operation, promotion, skipped
from tasks.preview import preview_promotion
from tasks.promote import check_source, preflight_promotion
from tasks.summarize import summarize


def promote(
    tier: TargetTier,
    project: str,
    source: str | None,
    *,
    force: bool,
    retry_bad: str | None,
    overriding: Override,
    plan: str | None,
    wait: bool,
    dry_run: bool,
) -> Summary | Preview:
    """The artifact that runs on the source is put on the target; then the target's branch follows."""
    from_environment, target = promotion(project, tier, source)
    if dry_run:
        return preview_promotion(
            from_environment, target, force=force, retry_bad=retry_bad, override=overriding, plan=plan
        )
    with operation(
        "promote",
        target,
        reads=from_environment,
        sentence=f"promote {from_environment} to {target}",
        source=from_environment,
        force=force,
        override=list(overriding.gates) or None,
        reason=overriding.reason or None,
        plan=plan,
        wait=wait,
    ) as op:
        promoted = preflight_promotion(
            op, from_environment, force=force, retry_bad=retry_bad, override=overriding, plan=plan
        )
        if not skipped(op):
            check_source(op, from_environment)
            deployment = prepare_release(op, promoted.commit, promoted.digest, advance_branch=True)
            prepare_data(op, deployment)
            check_candidate(op, deployment)
            switch(op, deployment)
            finish(op)
    return summarize(op)
