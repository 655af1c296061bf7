"""Going back."""

from branchline.platform import Work
from branchline.steps import rollback
from tasks.journaled import journaled


@journaled("preflight")
def preflight_rollback(
    work: Work,
    to: str | None,
    *,
    discard_writes: bool,
    retry_bad: str | None = None,
    plan: str | None = None,
) -> rollback.Return:
    return rollback.preflight_rollback(
        work, to, discard_writes=discard_writes, retry_bad=retry_bad, plan=plan
    )
