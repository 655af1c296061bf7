"""Each release has its run on the Prefect server, at its time; what is due and nothing runs is started; what is missed is told."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import timedelta

from branchline.domain.release import Release
from branchline.errors import BadInput
from branchline.launch.expected_runs import expect, key_of, start
from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.releases.running import next_due

EVERY = 5.0
PATIENCE = timedelta(minutes=5)
"""After this long, a run that Prefect says has not ended is not waited for: its process may be gone."""
AGAIN = ":again"

_runs: MutableMapping[tuple[str, str], str] = {}
"""Of each server, the run of each key: saves asking for it again. Forgotten, it is asked for again."""


def run(platform: Platform, server: Server) -> None:
    """Raises as `Server.start` does."""
    _expect_all(platform, server)
    for environment in sorted({each.environment for each in platform.store.releases.due(platform.clock())}):
        release = next_due(platform, environment)
        if release is not None and not _at_work(platform, release):
            _start_again(platform, server, release)


def _expect_all(platform: Platform, server: Server) -> None:
    scheduled = {(server.url, key_of(each)): each for each in platform.store.releases.scheduled()}
    for known in [each for each in _runs if (each[0], each[1].removesuffix(AGAIN)) not in scheduled]:
        del _runs[known]
    for key, made in expect(server, [scheduled[each] for each in scheduled.keys() - _runs.keys()]).items():
        _runs[server.url, key] = made


def _start_again(platform: Platform, server: Server, release: Release) -> None:
    """Unless the run of its time, or the last one that was started in its place, is still to do it. Once a minute at most."""
    key, now = key_of(release), platform.clock()
    again = (server.url, key + AGAIN)
    for made in (expect(server, [release])[key], _runs.get(again)):
        if made and not _ended(server, made) and now - release.due_at < PATIENCE:
            return
    _runs[again] = start(server, release, f"{key}:{now:%Y-%m-%dT%H:%MZ}")


def _ended(server: Server, made: str) -> bool:
    try:
        return server.state(made).ended
    except BadInput:  # Prefect has forgotten it
        return True


def _at_work(platform: Platform, release: Release) -> bool:
    """Whether somebody is at its environment: the release's turn comes when they have ended."""
    resource, now = f"environment:{release.environment}", platform.clock()
    return any(
        lease.resource == resource and lease.expires_at > now for lease in platform.store.leases.held()
    )
