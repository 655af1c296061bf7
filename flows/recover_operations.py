from prefect import flow

from branchline.steps.summary import Summary
from tasks.recover import recover
from tasks.runs import one_clear_error
from tasks.summarize import summarize


@flow(name="recover", flow_run_name="recover what was cut short", retries=0, validate_parameters=False)
@one_clear_error
def recover_operations() -> list[Summary]:
    """End what dead processes of this host left behind: finished behind the switch, removed before it."""
    return [summarize(activity) for activity in recover()]
