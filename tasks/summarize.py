"""What a flow leaves behind for people: its summary, as a value and, in a Prefect run, as an artifact."""

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from branchline.steps.summary import Summary, as_markdown, summary_of
from branchline.wiring import open_platform


def summarize(op: str) -> Summary:
    """Of an operation that has ended."""
    summary = summary_of(open_platform(), op)
    if FlowRunContext.get():
        create_markdown_artifact(
            as_markdown(summary), key=f"{summary.kind}-summary", description=summary.sentence
        )
    return summary
