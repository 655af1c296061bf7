"""Promotion."""

from branchline.domain.gates import NOTHING, Override
from branchline.platform import Work
from branchline.steps import candidate, promote
from tasks.journaled import journaled


@journaled("preflight")
def preflight_promotion(
    work: Work,
    source: str,
    *,
    force: bool,
    retry_bad: str | None,
    override: Override = NOTHING,
    plan: str | None = None,
    release: str | None = None,
) -> promote.Promoted:
    return promote.preflight_promotion(
        work, source, force=force, retry_bad=retry_bad, override=override, plan=plan, release=release
    )


@journaled("check the source")
def check_source(work: Work, source: str) -> None:
    candidate.check_source(work, promote.environment_at(work.platform, source))
