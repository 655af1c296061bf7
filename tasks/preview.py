"""What would happen: no journal, no lease, nothing changed."""

from branchline.steps import preview
from branchline.steps.preview import Preview
from branchline.wiring import open_platform
from tasks.summarize import shown


def preview_deploy(environment: str, ref: str | None) -> Preview:
    return shown(preview.preview_deploy(open_platform(), environment, ref))


def preview_promotion(source: str, target: str) -> Preview:
    return shown(preview.preview_promotion(open_platform(), source, target))


def preview_rollback(environment: str, to: str | None, *, discard_writes: bool) -> Preview:
    return shown(preview.preview_rollback(open_platform(), environment, to, discard_writes=discard_writes))


def explain_build(project: str, ref: str) -> Preview:
    return shown(preview.explain_build(open_platform(), project, ref))


def preview_sync(source: str, target: str, policy_ref: str | None) -> Preview:
    return shown(preview.preview_sync(open_platform(), source, target, policy_ref))
