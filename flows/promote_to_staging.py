from prefect import flow

from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from flows.promotion import promote
from tasks.runs import named, one_clear_error
from tasks.types import EnvironmentName, PromotedFrom, Reason


@flow(
    name="promote-to-staging",
    flow_run_name=named("promote {project} to Staging"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def promote_to_staging(
    project: PromotedFrom,
    source: EnvironmentName | None = None,
    force: bool = False,
    retry_bad: Reason | None = None,
    wait: bool = False,
    dry_run: bool = False,
) -> Summary | Preview:
    """Put the artifact that runs on Integration on Staging, then move Staging's branch to its commit.

    Args:
        project: The project; or project/environment, where the plan leaves the choice
        source: The Integration environment to take it from, where the plan leaves the choice
        force: Promote even what runs there already
        retry_bad: Why an artifact that failed on Staging may be tried again
        wait: Wait while somebody else is at one of the environments, instead of stopping
        dry_run: Only say what would happen
    """
    return promote("staging", project, source, force=force, retry_bad=retry_bad, wait=wait, dry_run=dry_run)
