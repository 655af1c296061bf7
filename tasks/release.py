"""Timed releases: created, run when they are due."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from branchline.domain.gates import Override
from branchline.domain.release import Release
from branchline.launch.expected_runs import expect
from branchline.launch.server import connect
from branchline.platform import Work
from branchline.steps import candidate
from branchline.steps.preview import Preview
from branchline.steps.promote import environment_at
from branchline.steps.releases import creating, listing, running
from branchline.steps.releases.creating import Asked
from branchline.steps.releases.listing import ReleaseView
from branchline.steps.releases.running import raise_failures
from branchline.steps.summary import in_text
from branchline.wiring import open_platform
from tasks.journaled import journaled
from tasks.operate import acting
from tasks.summarize import shown


def create_release(asked: Asked) -> ReleaseView:
    """Its run is scheduled at once where there is a server; the dispatcher does it too."""
    platform = open_platform()
    release = creating.create_release(platform, asked, acting())
    if server := connect():
        expect(server, [release])
    view = listing.release_in_whole(platform, release)
    if FlowRunContext.get():
        get_run_logger().info("%s, due %s", view.sentence, view.due)
        create_markdown_artifact(listing.as_markdown(view), description=in_text(view.sentence))
    return view


def preview_release(asked: Asked) -> Preview:
    return shown(creating.preview_release(open_platform(), asked, acting()))


def to_be_run(environment: str | None, release: str | None, overriding: Override) -> Iterator[Release]:
    """One after the other: the release that is named, or all that is due on an environment, or anywhere."""
    platform, tried = open_platform(), set[str]()
    if release:
        yield running.by_hand(platform, release, environment)
        return
    running.nothing_overridden(overriding)
    while due := running.next_due(platform, environment, tried):
        tried.add(due.id)
        yield due


__all__ = [
    "check_source",
    "claim_release",
    "create_release",
    "preview_release",
    "raise_failures",
    "settled",
    "to_be_run",
]


@contextmanager
def settled(op: str, release: str) -> Iterator[None]:
    """However the steps within end, the release's row says so."""
    platform = open_platform()
    with running.settled(platform, platform.operations.live(op), release):
        yield


@journaled("claim the release")
def claim_release(work: Work, release: str, *, by_hand: bool) -> None:
    running.claim_release(work, release, by_hand=by_hand)


@journaled("check the source")
def check_source(work: Work, source: str, *, runs_there: bool) -> None:
    """Where the artifact is not in front any more, the source cannot tell how it is."""
    if runs_there:
        candidate.check_source(work, environment_at(work.platform, source))
    else:
        work.run.detail = f"{source} runs another artifact now"
