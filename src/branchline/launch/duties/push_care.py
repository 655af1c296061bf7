"""Looks after pushes that went astray: whose run never came or died, and those that were never written down.

Hooks are kept as this Branchline writes them, so those of a home that was upgraded or moved are too.
"""

from __future__ import annotations

from datetime import timedelta

from branchline.domain.activity import Activity
from branchline.domain.push import MOST_ATTEMPTS, Push, end_of, newest
from branchline.errors import BranchlineError
from branchline.launch.duties.pushes import start
from branchline.launch.server import RunState, Server
from branchline.platform import Platform
from branchline.steps.projects import guard_pushes
from branchline.steps.pushes import scan

EVERY = 30.0
UNBEGUN = timedelta(seconds=30)
"""How long a run that was started may take to begin before it is asked what became of it."""
UNLOCKED = "unlocked by "
"""How the warning begins that a person leaves who ends an operation."""


def run(platform: Platform, server: Server) -> None:
    """One push's trouble holds up no other. Raises the first."""
    failures = []
    for push in platform.store.pushes.running():
        try:
            look_after(platform, server, push)
        except BranchlineError as error:
            failures.append(error)
    for project in platform.store.environments.projects():
        try:
            guard_pushes(platform, project)
            scan(platform, project)
        except BranchlineError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def look_after(platform: Platform, server: Server, push: Push) -> None:
    """Leaves alone what goes on. What died is begun again, unless somebody wanted its end, or it died too often."""
    activity = platform.store.activities.get(push.activity_id) if push.activity_id else None
    if activity is None and push.taken_at and platform.clock() - push.taken_at < UNBEGUN:
        return
    if activity is not None and activity.ended_at is None:
        return
    if activity is not None and activity.result:
        end = end_of(activity.result, activity.reason, cancelled=activity.state == "cancelled")
        if end is not None:
            platform.store.pushes.end(push, end[0], end[1], platform.clock())
            return
    state = server.state(start(platform, server, push))
    if activity is None and not state.ended:
        return
    if why := _no_more(push, activity, state):
        platform.store.pushes.end(push, "failed", why, platform.clock())
        return
    _, passed_over = newest([push], platform.repository(push.project).branches().get(push.branch))
    if passed_over:
        platform.store.pushes.end(push, "skipped", passed_over[0].reason, platform.clock())
        return
    again = platform.store.pushes.begin_again(push, platform.clock())
    if again is not None:
        start(platform, server, again)


def _no_more(push: Push, activity: Activity | None, state: RunState) -> str | None:
    """Why it is not begun again, in words; None when it is."""
    died = (activity.reason if activity else None) or f"its run ended before it began: {state.message}"
    if state.type in ("CANCELLING", "CANCELLED"):
        return "cancelled"
    if activity is not None and any(each.startswith(UNLOCKED) for each in activity.warnings):
        return died
    if push.attempts + 1 >= MOST_ATTEMPTS:
        return f"{died} (after {MOST_ATTEMPTS} attempts)"
    return None
