"""A push: who has it, and what it is called in a run's name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from branchline.domain.outcome import reason_of
from branchline.errors import BranchlineError, Refused
from branchline.steps import pushes
from branchline.steps.pushes import Claimed
from branchline.wiring import open_platform


def named_after_the_push() -> Callable[[], str]:
    """A run's name: what was pushed where, and by whom."""

    def name() -> str:
        number = flow_run.parameters.get("push")
        with suppress(BranchlineError, TypeError, ValueError):
            push = open_platform().store.pushes.get(int(number or 0))
            return f"push of {push.project} by {push.pusher}: {push.what}"
        return f"push {number}"

    return name


@contextmanager
def claimed(push: int) -> Iterator[Claimed]:
    """A push for this process to carry out. One that fails before its operation has begun has failed all the same.

    Raises Refused when it is not to be carried out (any more).
    """
    platform = open_platform()
    claim = pushes.claim(platform, push)
    try:
        yield claim
    except Exception as error:
        platform.store.pushes.end(claim.push, "failed", reason_of(error), platform.clock())
        raise


def begin(op: str, claim: Claimed) -> None:
    """From now on the push ends as this operation does. Raises Refused when another process has begun it."""
    if not open_platform().store.pushes.began(claim.push, op):
        raise Refused(
            180,
            f"Push {claim.push.id} ({claim.push.what}) is carried out by another process, or was.",
            f"branchline push list {claim.push.project}",
        )


def follow_remote(project: str, url: str) -> str:
    """What has moved, and what has not, in words."""
    followed = pushes.in_words(pushes.follow_remote(open_platform(), project, url))
    if FlowRunContext.get():
        get_run_logger().info("%s", followed)
    return followed
