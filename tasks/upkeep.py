"""What is done without being asked, done now."""

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from branchline.launch.duties.sweep import sweep as do_sweep
from branchline.launch.server import connect
from branchline.steps.upkeep import Swept, as_markdown, in_words
from branchline.wiring import open_platform


def sweep(*, prune: bool) -> Swept:
    """As the dispatcher does it; `prune` now, not only once a day."""
    swept = do_sweep(open_platform(), connect(), prune=prune)
    if FlowRunContext.get():
        get_run_logger().info("%s", in_words(swept))
        create_markdown_artifact(as_markdown(swept), key="sweep-summary", description="what the sweep did")
    return swept
