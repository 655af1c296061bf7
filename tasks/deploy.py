"""Putting a candidate in front."""

from collections.abc import Mapping

from branchline.domain.gates import NOTHING, Override
from branchline.operation import FINISH
from branchline.platform import Work
from branchline.steps import candidate, data, preflight, release
from branchline.steps import switch as switching
from tasks.journaled import journaled


@journaled("preflight")
def preflight_deploy(
    work: Work,
    ref: str | None,
    *,
    force: bool,
    retry_bad: str | None,
    override: Override = NOTHING,
    plan: str | None = None,
) -> str:
    return preflight.preflight_deploy(
        work, ref, force=force, retry_bad=retry_bad, override=override, plan=plan
    )


@journaled("prepare the release")
def prepare_release(
    work: Work,
    commit: str,
    digest: str,
    *,
    advance_branch: bool = False,
    data: Mapping[str, str] | None = None,
) -> str:
    return release.prepare_release(work, commit, digest, advance_branch=advance_branch, data=data)


@journaled("prepare the data")
def prepare_data(work: Work, deployment: str) -> None:
    data.prepare_data(work, deployment)


@journaled("keep the data")
def keep_data(work: Work, deployment: str) -> None:
    data.keep_data(work, deployment)


@journaled("check the candidate")
def check_candidate(work: Work, deployment: str) -> None:
    candidate.check_candidate(work, deployment)


@journaled("switch")
def switch(work: Work, deployment: str) -> None:
    switching.switch(work, deployment)


@journaled(FINISH)
def finish(work: Work) -> None:
    switching.finish(work.platform, work.operation)
