from prefect import flow

from branchline.domain.gates import override_of
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from flows.promotion import promote
from tasks.runs import named, one_clear_error
from tasks.types import EnvironmentName, Gate, PlanHash, PromotedFrom, Reason


@flow(
    name="promote-to-production",
    flow_run_name=named("promote {project} to Production"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def promote_to_production(
    project: PromotedFrom,
    source: EnvironmentName | None = None,
    force: bool = False,
    retry_bad: Reason | None = None,
    override: list[Gate] = [],  # noqa: B006 - a form shows the default; nothing changes it
    reason: Reason | None = None,
    plan: PlanHash | None = None,
    wait: bool = False,
    dry_run: bool = False,
) -> Summary | Preview:
    """Put the artifact that runs on Staging on Production, then move Production's branch to its commit.

    Args:
        project: The project; or project/environment, where the plan leaves the choice
        source: The environment to take it from, where the plan leaves the choice
        force: Promote even what runs there already
        retry_bad: Why an artifact that failed on Production may be tried again
        override: Gates to go through although they are closed
        reason: Why a closed gate is gone through; needed with override
        plan: The hash that `branchline plan` printed; refused when anything it was computed from has moved
        wait: Wait while somebody else is at one of the environments, instead of stopping
        dry_run: Only say what would happen
    """
    return promote(
        "production",
        project,
        source,
        force=force,
        retry_bad=retry_bad,
        overriding=override_of(override, reason),
        plan=plan,
        wait=wait,
        dry_run=dry_run,
    )
