"""Releases on a real server: at their time, and when the server does not know of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from branchline.domain.release import NewRelease, Release
from branchline.launch.expected_runs import expect
from branchline.platform import Platform
from branchline.steps.projects import init_project
from branchline.steps.promote import environment_at
from tests.server.prefect_server import until
from tests.server.upped import Upped
from tests.workshop.litter import version_served

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]


def deployed(up: Upped, project: str) -> None:
    with up.home.opened() as platform:
        init_project(platform, project, "pro", str(up.home.path / "checkout"))
    up.home.run("deploy_environment", environment=f"{project}/master")


def done(up: Upped, release: str) -> Release:
    """Once it has ended."""

    def found() -> Release | None:
        with up.home.opened() as platform:
            row = platform.store.releases.get(release)
            return row if row.ended_at else None

    return until(found, 180, f"release {release} has ended")


def run_of(platform: Platform, up: Upped, release: Release) -> dict[str, Any]:
    assert release.activity_id is not None
    activity = platform.store.activities.get(release.activity_id)
    with up.server.asked() as api:
        run: dict[str, Any] = api.request(
            "GET", "/flow_runs/{id}", path_params={"id": activity.flow_run_id}
        ).json()
    return {**run, "actor": activity.actor}


def created(up: Upped, project: str, due: datetime, **other: Any) -> Release:
    """From master to Staging; the server is not told."""
    with up.home.opened() as platform:
        source, target = (environment_at(platform, f"{project}/{each}") for each in ("master", "staging"))
        running = platform.current(source)
        new = NewRelease(
            kind="promotion",
            environment_id=target.id,
            source_id=source.id,
            digest=running.digest,
            commit=running.commit,
            due_at=due,
            zone="UTC",
            latest_start_at=due + timedelta(hours=1),
            late="skip",
            author="ann",
        )
        return platform.store.releases.create(replace(new, **other), due)


def test_a_release_that_is_asked_for_on_the_server_has_its_run_there_at_its_time(up: Upped) -> None:
    deployed(up, "planned")
    asked = {"project": "planned", "tier": "staging", "at": "2036-12-01 14:00", "zone": "Asia/Kolkata"}
    assert up.ended(up.server.start("create-release/create-release", asked)) == "Completed"
    with up.home.opened() as platform:
        (release,) = platform.store.releases.list("planned")
    assert (release.author, release.state) == ("prefect", "scheduled")
    (known,) = expect(up.server, [release]).values()
    with up.server.asked() as api:
        run = api.read_flow_run(UUID(known))
    assert run.next_scheduled_start_time == datetime(2036, 12, 1, 8, 30, tzinfo=UTC)
    assert run.parameters == {"environment": "planned/staging"}


def test_at_its_time_it_runs_as_whoever_asked_for_it(up: Upped) -> None:
    deployed(up, "timed")
    release = created(up, "timed", datetime.now(UTC) + timedelta(seconds=15))
    ended = done(up, release.id)
    assert ended.state == "done", ended.reason
    with up.home.opened() as platform:
        run = run_of(platform, up, ended)
        assert version_served(platform, "timed/staging") == "1"
    assert release.due_at <= datetime.fromisoformat(run["start_time"])
    assert run["actor"] == "ann"


def test_one_that_the_server_does_not_know_of_in_time_is_run_all_the_same(up: Upped) -> None:
    deployed(up, "lost")
    release = created(up, "lost", datetime.now(UTC) - timedelta(minutes=1))
    ended = done(up, release.id)
    assert ended.state == "done", ended.reason
