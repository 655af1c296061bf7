"""What would happen: no journal, no lease, nothing changed."""

from branchline.domain.gates import NOTHING, Override
from branchline.steps import preview
from branchline.steps.preview import Going, Preview
from branchline.wiring import open_platform
from tasks.operate import acting
from tasks.summarize import shown


def preview_deploy(
    environment: str,
    ref: str | None,
    *,
    force: bool = False,
    retry_bad: str | None = None,
    override: Override = NOTHING,
    plan: str | None = None,
) -> Preview:
    going = Going(acting(), force, retry_bad, override, plan)
    return shown(preview.preview_deploy(open_platform(), environment, ref, going))


def preview_promotion(
    source: str,
    target: str,
    *,
    force: bool = False,
    retry_bad: str | None = None,
    override: Override = NOTHING,
    plan: str | None = None,
) -> Preview:
    going = Going(acting(), force, retry_bad, override, plan)
    return shown(preview.preview_promotion(open_platform(), source, target, going))


def preview_rollback(
    environment: str,
    to: str | None,
    *,
    discard_writes: bool,
    retry_bad: str | None = None,
    plan: str | None = None,
) -> Preview:
    going = Going(acting(), retry_bad=retry_bad, plan=plan)
    found = preview.preview_rollback(
        open_platform(), environment, to, discard_writes=discard_writes, going=going
    )
    return shown(found)


def explain_build(project: str, ref: str) -> Preview:
    return shown(preview.explain_build(open_platform(), project, ref))


def preview_sync(
    source: str,
    target: str,
    policy_ref: str | None,
    *,
    override: Override = NOTHING,
    plan: str | None = None,
) -> Preview:
    going = Going(acting(), override=override, plan=plan)
    return shown(preview.preview_sync(open_platform(), source, target, policy_ref, going))
