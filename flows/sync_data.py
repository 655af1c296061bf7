from prefect import flow

from branchline.domain.gates import override_of
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from tasks.deploy import check_candidate, finish, prepare_release, switch
from tasks.operate import operation, synced_environments
from tasks.preview import preview_sync
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.sync import migrate_new_data, preflight_sync, sanitize_data
from tasks.types import EnvironmentName, EnvironmentPath, Gate, PlanHash, Reason, Ref


@flow(
    name="sync-data",
    flow_run_name=named("refresh {environment} with sanitized data"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def sync_data(
    environment: EnvironmentPath,
    source: EnvironmentName | None = None,
    policy_ref: Ref | None = None,
    override: list[Gate] = [],  # noqa: B006 - a form shows the default; nothing changes it
    reason: Reason | None = None,
    plan: PlanHash | None = None,
    wait: bool = False,
    dry_run: bool = False,
) -> Summary | Preview:
    """Make new data versions for a lower environment from a higher one's, sanitized, proved, then switch to them.

    Args:
        environment: The project and environment that gets the data, such as store/staging
        source: The environment that the data come from; without it, Production
        policy_ref: Read sanitize.yaml from this commit; without it, from the one that the source runs
        override: Gates to go through although they are closed
        reason: Why a closed gate is gone through; needed with override
        plan: The hash that `branchline plan` printed; refused when anything it was computed from has moved
        wait: Wait while somebody else is at one of the environments, instead of stopping
        dry_run: Only say what would happen
    """
    overriding = override_of(override, reason)
    source_path, target = synced_environments(environment, source)
    if dry_run:
        return preview_sync(source_path, target, policy_ref, override=overriding, plan=plan)
    with operation(
        "sync",
        target,
        reads=source_path,
        sentence=f"refresh {target} with the data of {source_path}, sanitized",
        source=source_path,
        policy_ref=policy_ref,
        override=list(overriding.gates) or None,
        reason=overriding.reason or None,
        plan=plan,
        wait=wait,
    ) as op:
        running = preflight_sync(op, source_path, policy_ref, override=overriding, plan=plan)
        deployment = prepare_release(op, running.commit, running.digest)
        sanitize_data(op, deployment, source_path, policy_ref)
        migrate_new_data(op, deployment)
        check_candidate(op, deployment)
        switch(op, deployment)
        finish(op)
    return summarize(op)
