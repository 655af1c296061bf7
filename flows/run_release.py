from prefect import flow

from branchline.domain.gates import Override, override_of
from branchline.domain.release import Release
from branchline.errors import BranchlineError
from branchline.steps.summary import Summary
from tasks.deploy import check_candidate, finish, prepare_data, prepare_release, switch
from tasks.operate import operation, skipped
from tasks.promote import preflight_promotion
from tasks.release import check_source, claim_release, raise_failures, settled, to_be_run
from tasks.runs import named, one_clear_error
from tasks.summarize import summarize
from tasks.sync import migrate_new_data, preflight_sync, sanitize_data
from tasks.types import EnvironmentPath, Gate, Reason, ReleaseId


@flow(
    name="run-release",
    flow_run_name=named(
        "run release {release}", "run what is due on {environment}", "run all releases that are due"
    ),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def run_release(
    environment: EnvironmentPath | None = None,
    release: ReleaseId | None = None,
    override: list[Gate] = [],  # noqa: B006 - a form shows the default; nothing changes it
    reason: Reason | None = None,
) -> list[Summary]:
    """Run the releases that are due, in order, each when its gates are open; or one release now.

    Args:
        environment: Run what is due on this one only, such as store/production; without it, everywhere
        release: Run this one now, whatever its time; also the answer to one that asks
        override: Gates of that release to go through although they are closed
        reason: Why a closed gate is gone through; needed with override
    """
    overriding = override_of(override, reason)
    due_releases = to_be_run(environment, release, overriding)
    ended: list[Summary] = []
    failures: list[BranchlineError] = []
    for due in due_releases:
        carry_out = _promote if due.kind == "promotion" else _refresh
        try:
            ended.append(carry_out(due, overriding, by_hand=release is not None))
        except BranchlineError as error:
            failures.append(error)
    raise_failures(failures, len(ended))
    return ended


def _promote(release: Release, overriding: Override, *, by_hand: bool) -> Summary:
    """What the release has pinned is put on its target; then the target's branch follows."""
    with (
        operation(
            "release",
            release.environment,
            reads=release.source,
            sentence=f"release {release.id}: {release.what}",
            actor=None if by_hand else release.author,
            wait=True,
            release=release.id,
            artifact=release.digest,
            override=list(overriding.gates) or None,
            reason=overriding.reason or None,
        ) as op,
        settled(op, release.id),
    ):
        claim_release(op, release.id, by_hand=by_hand)
        if not skipped(op):
            promoted = preflight_promotion(
                op, release.source, force=False, retry_bad=None, override=overriding, release=release.id
            )
        if not skipped(op):
            check_source(op, release.source, runs_there=promoted.runs_on_source)
            deployment = prepare_release(op, promoted.commit, promoted.digest, advance_branch=True)
            prepare_data(op, deployment)
            check_candidate(op, deployment)
            switch(op, deployment)
            finish(op)
    return summarize(op)


def _refresh(release: Release, overriding: Override, *, by_hand: bool) -> Summary:
    """A sync that comes by a timetable."""
    with (
        operation(
            "sync",
            release.environment,
            reads=release.source,
            sentence=f"release {release.id}: {release.what}",
            actor=None if by_hand else release.author,
            wait=True,
            release=release.id,
            source=release.source,
            override=list(overriding.gates) or None,
            reason=overriding.reason or None,
        ) as op,
        settled(op, release.id),
    ):
        claim_release(op, release.id, by_hand=by_hand)
        if not skipped(op):
            kept = preflight_sync(op, release.source, None, override=overriding)
            deployment = prepare_release(op, kept.commit, kept.digest)
            sanitize_data(op, deployment, release.source, None)
            migrate_new_data(op, deployment)
            check_candidate(op, deployment)
            switch(op, deployment)
            finish(op)
    return summarize(op)
