from prefect import flow

from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from tasks.deploy import check_candidate, finish, keep_data, prepare_release, switch
from tasks.operate import deployed_environment, operation
from tasks.preview import preview_rollback
from tasks.rollback import preflight_rollback
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.types import DeploymentId, EnvironmentPath, PlanHash, Reason


@flow(
    name="rollback",
    flow_run_name=named("roll back {environment} to {to}", "roll back {environment}"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def roll_back_environment(
    environment: EnvironmentPath,
    to: DeploymentId | None = None,
    discard_writes: bool = False,
    retry_bad: Reason | None = None,
    plan: PlanHash | None = None,
    wait: bool = False,
    dry_run: bool = False,
) -> Summary | Preview:
    """Put an earlier deployment's code in front again; its data too, only when writes may be lost.

    Args:
        environment: Project and environment, such as store/production
        to: The beginning of a deployment's id; without it, the newest with another artifact
        discard_writes: Go back to that deployment's data too, losing what was written since
        retry_bad: Why an artifact that failed here may be tried again
        plan: The hash that `branchline plan` printed; refused when anything it was computed from has moved
        wait: Wait while somebody else is at this environment, instead of stopping
        dry_run: Only say what would happen
    """
    target = deployed_environment(environment)
    if dry_run:
        return preview_rollback(target, to, discard_writes=discard_writes, retry_bad=retry_bad, plan=plan)
    with operation(
        "rollback",
        target,
        sentence=f"roll back {target}",
        to=to,
        discard_writes=discard_writes,
        plan=plan,
        wait=wait,
    ) as op:
        earlier = preflight_rollback(op, to, discard_writes=discard_writes, retry_bad=retry_bad, plan=plan)
        deployment = prepare_release(op, earlier.commit, earlier.digest, data=earlier.data)
        keep_data(op, deployment)
        check_candidate(op, deployment)
        switch(op, deployment)
        finish(op)
    return summarize(op)
