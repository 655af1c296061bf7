"""The two tables that the Prefect UI shows: every environment, and every release that is open or ended lately.

Times are moments, not ages: a row changes only when what it tells of does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from branchline.domain.calendar import in_words
from branchline.domain.environment import DataVersion, Deployment, Environment, short_digest
from branchline.domain.release import OPEN, Release
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.steps.releases.listing import release_view
from branchline.steps.summary import in_text

MOST_RELEASES = 50
MOST_CLONES = 20
"""Clones of clones that are followed to where data come from."""
EMPTY = "-"

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """`key` is its artifact's; `nothing` what to say while it has no rows."""

    key: str
    title: str
    nothing: str
    rows: Sequence[Row]

    def as_markdown(self) -> str:
        """Title and rows, for the page of the artifact's key, which shows nothing else of them."""
        if not self.rows:
            return f"{self.title}\n\n{self.nothing}\n"
        columns = list(self.rows[0])
        lines = [self.title, "", _line(columns), _line(["---"] * len(columns))]
        return (
            "\n".join([*lines, *(_line([in_text(row[each]) for each in columns]) for row in self.rows)])
            + "\n"
        )


def tables(platform: Platform) -> Sequence[Table]:
    """As everything is now."""
    return (
        Table(
            "environments",
            "Every environment, as it is now.",
            "None yet: `branchline init NAME --from REPOSITORY` makes a project.",
            environment_rows(platform),
        ),
        Table(
            "releases",
            f"Releases: those that are open, by their due time, and the last that ended; at most {MOST_RELEASES}.",
            "None yet: the flow `create-release` makes one.",
            release_rows(platform),
        ),
    )


def environment_rows(platform: Platform) -> Sequence[Row]:
    environments = platform.store.environments
    return [
        _environment(platform, each)
        for project in environments.projects()
        for each in environments.of(project)
    ]


def release_rows(platform: Platform) -> Sequence[Row]:
    return [_release(platform, each) for each in platform.store.releases.list(limit=MOST_RELEASES)]


def _environment(platform: Platform, environment: Environment) -> Row:
    running = platform.current(environment) if environment.deployment_id else None
    recent = platform.store.activities.recent(environment.project.name, environment.name, 1)
    last = recent[0] if recent else None
    return {
        "environment": environment.path,
        "branch": environment.branch,
        "commit": running.commit[:12] if running else EMPTY,
        "artifact": short_digest(running.digest) if running else EMPTY,
        "health": _health(platform, environment, running) if running else environment.status,
        "data": "; ".join(_data(platform, running)) or EMPTY if running else EMPTY,
        "last activity": f"{last.kind}: {last.outcome}, {_time(last.ended_at or last.created_at)}"
        if last
        else EMPTY,
        "URL": ", ".join(_urls(platform, environment, running)) or EMPTY if running else EMPTY,
    }


def _health(platform: Platform, environment: Environment, running: Deployment) -> str:
    """What the last check found: nothing watches the processes between two deployments."""
    if environment.status != "active":
        return environment.status
    bad = platform.store.artifacts.why_bad(environment, running.digest)
    if bad:
        return f"not healthy: {bad}"
    return f"healthy at {_time(running.deployed_at or running.created_at)}"


def _data(platform: Platform, running: Deployment) -> Iterator[str]:
    """What each database and mount holds, where from, and since when."""
    for slot, version_id in sorted(running.data.items()):
        version = platform.store.deployments.version(version_id)
        origin = _origin(platform, version)
        parent = platform.store.deployments.find_version(origin.parent_id) if origin.parent_id else None
        source = (
            f" from {platform.store.environments.by_id(parent.environment_id).path}"
            if parent is not None and parent.environment_id != version.environment_id
            else ""
        )
        yield f"{slot.partition(':')[2]}: {version.contents}{source}, {origin.made_by} {_time(origin.created_at)}"


def _origin(platform: Platform, version: DataVersion) -> DataVersion:
    """Where its rows began: a clone, as a migration makes one, is no new data."""
    for _ in range(MOST_CLONES):
        parent = (
            platform.store.deployments.find_version(version.parent_id)
            if version.made_by == "clone" and version.parent_id
            else None
        )
        if parent is None:
            break
        version = parent
    return version


def _urls(platform: Platform, environment: Environment, running: Deployment) -> Iterator[str]:
    try:
        routes = platform.app(environment.project, running.commit).routes
    except BadInput:  # an older Branchline could read it
        return
    yield from (url for url, route in routes.items() if route.type == "upstream")


def _release(platform: Platform, release: Release) -> Row:
    still_open = release.state in OPEN
    held = release.held_by if still_open else None
    return {
        "release": release.id,
        "what": f"{short_digest(release.digest)} of {(release.commit or '')[:12]}"
        if release.digest
        else release.kind,
        "path": f"{release.source or EMPTY} -> {release.environment}",
        "due": in_words(release.due_at, release.zone),
        "state": f"{release.state}, held by {held}" if held else release.state,
        "approvals": release_view(platform, release).approvals if still_open else EMPTY,
        "reason": (release.held_reason if held else release.reason) or EMPTY,
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
