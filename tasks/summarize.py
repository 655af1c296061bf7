"""What a flow leaves behind for people: a value and, in a Prefect run, a line in its log and an artifact."""

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from branchline.steps import preview as previews
from branchline.steps import summary as summaries
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary, summary_of
from branchline.wiring import open_platform


def summarize(op: str) -> Summary:
    """Of an operation that has ended."""
    summary = summary_of(open_platform(), op)
    _leave(summary.kind, summary.sentence, summaries.in_words(summary), summaries.as_markdown(summary))
    return summary


def shown(preview: Preview) -> Preview:
    """Of a dry run, which has no activity."""
    _leave("dry-run", preview.sentence, previews.in_words(preview), previews.as_markdown(preview))
    return preview


def _leave(kind: str, sentence: str, in_words: str, markdown: str) -> None:
    if FlowRunContext.get():
        get_run_logger().info("%s", in_words)
        create_markdown_artifact(markdown, key=f"{kind}-summary", description=summaries.in_text(sentence))
