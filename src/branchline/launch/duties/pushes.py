"""Starts the runs of pushes that wait: of each branch the newest, and no two at once."""

from __future__ import annotations

from collections.abc import Sequence

from branchline.domain.plan import tier_of
from branchline.domain.push import Push
from branchline.errors import BranchlineError
from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.pushes import take, waiting

EVERY = 0.5
DEPLOYMENT = "push/push"


def run(platform: Platform, server: Server) -> None:
    """One project's trouble holds up no other's pushes. Raises the first."""
    failures = []
    for project, pushes in waiting(platform).items():
        try:
            start_all(platform, server, take(platform, project, pushes))
        except BranchlineError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def start_all(platform: Platform, server: Server, pushes: Sequence[Push]) -> None:
    """Those that cannot be started wait again. Raises as `Server.start` does."""
    for number, push in enumerate(pushes):
        try:
            start(platform, server, push)
        except BaseException:
            for left in pushes[number:]:
                platform.store.pushes.give_back(left)
            raise


def start(platform: Platform, server: Server, push: Push) -> str:
    """The run of this attempt, the same one however often it is asked for. Raises as `Server.start` does."""
    project = platform.store.environments.project(push.project)
    return server.start(
        DEPLOYMENT,
        {"push": push.id},
        key=push.key,
        production=tier_of(platform.plan(project), push.branch) == "production",
    )
