"""What is due is run: each release as an operation of its own, claimed once, in its environment's order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from branchline.domain.calendar import in_words
from branchline.domain.gates import Override
from branchline.domain.lateness import Move, is_late, move
from branchline.domain.outcome import reason_of
from branchline.domain.release import OPEN, Release, ReleaseState
from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable
from branchline.operation import Operation
from branchline.platform import Platform, Work
from branchline.state.leases import LostLease
from branchline.steps.assessment import Held
from branchline.steps.promote import environment_at
from branchline.steps.releases.waiting import why_it_waits

CLAIM = "claim"
"""The kind of resource that a claim is in the journal: recovery finds it there."""


def next_due(platform: Platform, path: str | None, tried: Collection[str] = ()) -> Release | None:
    """The first that is to be run now, on one environment or on any; None when there is none.

    Those that cannot be are told why in their rows, or are reported as missed. One that waits, or was tried and is still
    there, holds up what comes after it on its environment.
    """
    environment = environment_at(platform, path) if path else None
    waiting: set[str] = set()
    for release in platform.store.releases.due(platform.clock(), environment):
        if release.environment in waiting:
            continue
        if release.id in tried:
            waiting.add(release.environment)
            continue
        now, _ = turn(platform, release)
        if now == "run":
            return release
        if now == "wait":
            waiting.add(release.environment)
    return None


def turn(platform: Platform, release: Release) -> tuple[Move, str | None]:
    """What is to be done with it now, and why not more. That it was missed is reported, and that it waits is in its row."""
    store = platform.store.releases
    reason = why_it_waits(platform, release)
    decided = move(release, platform.clock(), gates_open=reason is None)
    if decided == "miss":
        release = store.miss(release.id, platform.clock())
        decided = move(release, platform.clock(), gates_open=reason is None)
        if decided == "leave":
            return decided, release.reason
    if decided == "wait" and release.reason != reason:
        assert reason is not None
        store.waits(release.id, reason)
    return decided, reason


def by_hand(platform: Platform, release_id: str, path: str | None) -> Release:
    """The one that a person wants to run now. Raises BadInput for an unknown one, Refused when it cannot be."""
    release = platform.store.releases.get(release_id)
    if path is not None and environment_at(platform, path).path != release.environment:
        raise BadInput(
            250,
            f"Release {release.id} is one of {release.environment}, not of {path}.",
            f"branchline release run {release.id}",
        )
    _refuse_unless_free(release)
    return release


def nothing_overridden(override: Override) -> None:
    """Raises BadInput: what runs because it is due meets closed gates without anybody who answers for it."""
    if override.gates:
        raise BadInput(
            253,
            "Gates are overridden for one release, and none was named.",
            "branchline release run RELEASE --override GATE --reason WHY",
        )


def raise_failures(failures: Sequence[BranchlineError], ended: int) -> None:
    """The only one as it is; of several, Failed with the reason of each."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        listed = "".join(f"\n  - {reason_of(each)}" for each in failures)
        raise Failed(
            254,
            f"{len(failures)} releases of {len(failures) + ended} did not run to their end:{listed}",
            "branchline release list",
        )


def claim_release(work: Work, release_id: str, *, by_hand: bool) -> None:
    """From now on the release is this operation's; or the operation is marked as skipped, with the reason.

    `by_hand`: a person runs it now, whatever its time. Raises Refused when somebody holds it.
    """
    platform, store = work.platform, work.platform.store.releases
    release = store.get(release_id)
    if by_hand:
        _refuse_unless_free(release)
    else:
        decided, reason = turn(platform, release)
        if decided != "run":
            work.operation.skip(reason or _why_not(release))
            return
    work.operation.making(CLAIM, release_id)
    now = platform.clock()
    if not store.claim(work.grip, release_id, now, by_hand=by_hand):
        work.operation.skip(_why_not(store.get(release_id)))
        return
    if is_late(release, now):
        work.operation.warn(f"it was to start by {in_words(release.latest_start_at, release.zone)}")
    work.run.detail = f"{release_id}, due {in_words(release.due_at, release.zone)}"


@contextmanager
def settled(platform: Platform, operation: Operation, release_id: str) -> Iterator[None]:
    """However the body ends before the switch, the release's row says so; behind the switch it is done.

    What may work later (a gate that can open, a service that is away) leaves it as it was before. Somebody who cancels
    the operation is asked whether it still runs.
    """
    try:
        yield
    except LostLease:
        raise
    except (Unavailable, Held) as error:
        reason = operation.redactor.clean(reason_of(error))
        platform.store.releases.settle(operation.grip, release_id, platform.clock(), reason)
        raise
    except BaseException as error:
        state: ReleaseState = "failed" if isinstance(error, Exception) else "asking"
        reason = operation.redactor.clean(reason_of(error))
        platform.store.releases.end(operation.grip, release_id, state, reason, platform.clock())
        raise
    if operation.skipped is not None:
        store, now = platform.store.releases, platform.clock()
        store.end(operation.grip, release_id, "skipped", operation.skipped, now)


def _why_not(release: Release) -> str:
    """Why this operation does not get it."""
    if release.held_by is not None:
        return f"release {release.id} is held by {release.held_by}: {release.held_reason}"
    if release.state == "scheduled":
        return f"release {release.id} is not the next of {release.environment}, or not due any more"
    return f"release {release.id} is {release.state}"


def _refuse_unless_free(release: Release) -> None:
    if release.held_by is not None:
        raise Refused(
            251,
            f"Release {release.id} is held by {release.held_by}: {release.held_reason}.",
            f"branchline release resume {release.id}",
        )
    if release.state not in OPEN:
        raise Refused(
            252,
            f"Release {release.id} is {release.state} and cannot be run.",
            f"branchline release show {release.id}",
        )
