"""Building."""

from branchline.platform import Work
from branchline.steps import build
from tasks.journaled import journaled


@journaled("build or reuse the artifact")
def build_artifact(work: Work, commit: str) -> str:
    return build.build_artifact(work, commit)
