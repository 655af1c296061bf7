"""What a person says about a release."""

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from branchline.domain.release import Approval
from branchline.steps import approvals
from branchline.steps.summary import in_text
from branchline.wiring import open_platform
from tasks.operate import acting


def approve(release: str, decision: str, name: str, comment: str | None, signature: str | None) -> Approval:
    """Written down for whoever is named, by whoever runs this."""
    platform = open_platform()
    approval = approvals.approve(platform, release, decision, name, comment or "", signature, acting())
    if FlowRunContext.get():
        counted = approvals.in_words(platform, approval)
        get_run_logger().info("%s", counted)
        create_markdown_artifact(
            approvals.as_markdown(platform, approval), key="release-approval", description=in_text(counted)
        )
    return approval
