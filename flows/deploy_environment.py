from prefect import flow

from branchline.domain.gates import override_of
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from tasks.build import build_artifact
from tasks.deploy import check_candidate, finish, preflight_deploy, prepare_data, prepare_release, switch
from tasks.operate import deployed_environment, operation, skipped
from tasks.preview import preview_deploy
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.types import EnvironmentPath, Gate, PlanHash, Reason, Ref


@flow(
    name="deploy",
    flow_run_name=named("deploy {ref} to {environment}", "deploy {environment}"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def deploy_environment(
    environment: EnvironmentPath,
    ref: Ref | None = None,
    force: bool = False,
    retry_bad: Reason | None = None,
    override: list[Gate] = [],  # noqa: B006 - a form shows the default; nothing changes it
    reason: Reason | None = None,
    plan: PlanHash | None = None,
    wait: bool = False,
    dry_run: bool = False,
) -> Summary | Preview:
    """Build the ref if it was never built, prepare it beside what runs, prove it healthy, then switch.

    Args:
        environment: Project and environment, such as store/master
        ref: Branch, tag or commit; without it, the tip of the environment's branch
        force: Deploy even what runs already
        retry_bad: Why an artifact that failed here may be tried again
        override: Gates to go through although they are closed
        reason: Why a closed gate is gone through; needed with override
        plan: The hash that `branchline plan` printed; refused when anything it was computed from has moved
        wait: Wait while somebody else is at this environment, instead of stopping
        dry_run: Only say what would happen
    """
    overriding = override_of(override, reason)
    target = deployed_environment(environment)
    if dry_run:
        return preview_deploy(target, ref, force=force, retry_bad=retry_bad, override=overriding, plan=plan)
    with operation(
        "deploy",
        target,
        sentence=f"deploy {ref or 'its branch'} to {target}",
        ref=ref,
        force=force,
        override=list(overriding.gates) or None,
        reason=overriding.reason or None,
        plan=plan,
        wait=wait,
    ) as op:
        commit = preflight_deploy(op, ref, force=force, retry_bad=retry_bad, override=overriding, plan=plan)
        if not skipped(op):
            artifact = build_artifact(op, commit)
            deployment = prepare_release(op, commit, artifact)
            prepare_data(op, deployment)
            check_candidate(op, deployment)
            switch(op, deployment)
            finish(op)
    return summarize(op)
