from prefect import flow

from branchline.steps.upkeep import Swept
from tasks.runs import one_clear_error
from tasks.upkeep import sweep


@flow(name="sweep", flow_run_name="sweep", retries=0, validate_parameters=False)
@one_clear_error
def sweep_operations(prune: bool = False) -> Swept:
    """Close what died without a word on this host: Prefect runs whose process is gone, operations that nobody runs.

    Args:
        prune: Remove what nothing needs any more too, now; else that is done once a day
    """
    return sweep(prune=prune)
