"""The Prefect runs of releases: one for each environment and moment, made when a release is known, started at its time.

They are projections of the rows: one that Prefect has lost is made again, and one too many finds nothing to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from branchline.domain.calendar import in_words
from branchline.domain.release import Release
from branchline.launch.server import Server

DEPLOYMENT = "run-release/run-release"


def key_of(release: Release) -> str:
    """What is due on one environment at one moment has one run."""
    return f"release:{release.environment}:{release.due_at:%Y-%m-%dT%H:%M:%SZ}"


def expect(server: Server, releases: Iterable[Release]) -> dict[str, str]:
    """Each one's run, by its key; known ones are found again. Raises as `Server.start` does."""
    return {key: start(server, release, key, release.due_at) for key, release in _first_of_each(releases)}


def start(server: Server, release: Release, key: str, at: datetime | None = None) -> str:
    """The id of a run of all that is due on the release's environment."""
    return server.start(
        DEPLOYMENT,
        {"environment": release.environment},
        key=key,
        at=at,
        production=release.tier == "production",
        name=f"what is due on {release.environment} at {in_words(release.due_at, release.zone)}",
    )


def _first_of_each(releases: Iterable[Release]) -> list[tuple[str, Release]]:
    found: dict[str, Release] = {}
    for release in releases:
        found.setdefault(key_of(release), release)
    return list(found.items())
