"""What a flow leaves behind for people: a value and, in a Prefect run, a line in its log and an artifact."""

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from branchline.errors import BranchlineError
from branchline.steps import preview as previews
from branchline.steps import summary as summaries
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary, summary_of
from branchline.wiring import open_platform

RECENT = 100
"""Activities among which a run's own are looked for when it has just ended."""

_summarized: set[str] = set()
"""The activities that this process has summarized."""


def summarize(op: str) -> Summary:
    """Of an operation that has ended."""
    summary = summary_of(open_platform(), op)
    _summarized.add(summary.activity)
    _leave(summary.sentence, summaries.in_words(summary), summaries.as_markdown(summary))
    return summary


def summarize_failure(error: BranchlineError) -> None:
    """Of the run that it ends: what became of its operations, or why it began none."""
    recent = open_platform().store.activities.recent(limit=RECENT)
    begun = [each.id for each in recent if each.flow_run_id == str(flow_run.id)]
    for activity in begun:
        if activity not in _summarized:
            summarize(activity)
    if not begun:
        sentence, reason = summaries.in_text(flow_run.name), summaries.in_text(str(error))
        create_markdown_artifact(f"# {sentence}\n\n{reason}\n", description=sentence)


def shown(preview: Preview) -> Preview:
    """Of a dry run, which has no activity."""
    _leave(preview.sentence, previews.in_words(preview), previews.as_markdown(preview))
    return preview


def _leave(sentence: str, in_words: str, markdown: str) -> None:
    """The artifact has no key: the run's page leads to it at once, not to what other runs left by the same key."""
    if FlowRunContext.get():
        get_run_logger().info("%s", in_words)
        create_markdown_artifact(markdown, description=summaries.in_text(sentence))
