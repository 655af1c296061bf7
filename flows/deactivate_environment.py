from prefect import flow

from branchline.steps.summary import Summary
from tasks.deactivate import deactivate
from tasks.deploy import finish
from tasks.operate import deployed_environment, operation, skipped
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.types import EnvironmentPath


@flow(
    name="deactivate", flow_run_name=named("deactivate {environment}"), retries=0, validate_parameters=False
)
@one_clear_error
def deactivate_environment(environment: EnvironmentPath, wait: bool = False) -> Summary:
    """Free an environment's slot: nothing runs there any more, its data are kept as a backup.

    Args:
        environment: Project and environment, such as store/feature-x
        wait: Wait while somebody else is at this environment, instead of stopping
    """
    target = deployed_environment(environment)
    with operation("deactivate", target, sentence=f"deactivate {target}", wait=wait) as op:
        deactivate(op)
        if not skipped(op):
            finish(op)
    return summarize(op)
