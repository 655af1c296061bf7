"""Once a day what nothing refers to is removed, and nothing else is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from branchline.domain.activity import Want
from branchline.domain.release import NewRelease
from branchline.operation import Request
from branchline.platform import Platform
from branchline.state import tables
from branchline.steps.promote import environment_at
from branchline.steps.upkeep import PRUNES_EVERY, prune_all, prune_when_due
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import version_served

MASTER = "store/master"
LATER = timedelta(days=100)


@pytest.fixture
def deployed(home: Home) -> tuple[Home, list[str]]:
    """Three versions were deployed, one after the other; the plan keeps two deployments. The artifacts' digests too."""
    for version in (1, 2, 3):
        home.commit(application(version))
        home.push()
        home.run("deploy_environment", environment=MASTER)
    with home.opened() as platform:
        deployments = platform.store.deployments.of(environment_at(platform, MASTER))
        return home, [each.digest for each in reversed(deployments)]


@contextmanager
def later(home: Home, time: timedelta = LATER) -> Iterator[Platform]:
    with home.opened() as platform:
        yield replace(platform, clock=lambda: platform.clock() + time)


def ended_push(platform: Platform) -> tables.Push:
    now = platform.clock()
    return tables.Push(
        project_id=1,
        branch="master",
        new="c" * 40,
        pusher="ann",
        state="done",
        attempts=0,
        created_at=now,
        taken_at=now,
        ended_at=now,
    )


def kept(platform: Platform) -> bool:
    """Whether the push of `ended_push` is remembered."""
    with platform.store.database.read() as session:
        return ended_push(platform).new in session.scalars(select(tables.Push.new)).all()


def test_artifacts_that_no_environment_can_go_back_to_are_removed_when_their_time_is_over(deployed) -> None:
    home, digests = deployed
    with later(home) as platform:
        removed = prune_all(platform)
        assert sorted(platform.artifacts.digests()) == sorted(digests[1:])
        assert sorted(platform.trees.digests()) == sorted(digests[1:])
        assert sum(each.startswith("artifact ") for each in removed) == 1
        assert version_served(platform, MASTER) == "3"
        assert not [each for each in prune_all(platform) if each.startswith("artifact ")]


def test_what_was_removed_is_built_again_when_it_is_wanted(deployed) -> None:
    home, digests = deployed
    with later(home) as platform:
        prune_all(platform)
    home.commit(application(1))
    home.push()
    assert home.run("deploy_environment", environment=MASTER).outcome == "success"
    with home.opened() as platform:
        assert platform.current(environment_at(platform, MASTER)).digest == digests[0]


def test_what_a_release_waits_for_stays(deployed) -> None:
    home, digests = deployed
    with later(home) as platform:
        environment = environment_at(platform, MASTER)
        now = platform.clock()
        platform.store.releases.create(
            NewRelease(
                kind="promotion",
                environment_id=environment.id,
                source_id=None,
                digest=digests[0],
                commit="c" * 40,
                due_at=now + timedelta(days=1),
                zone="UTC",
                latest_start_at=now + timedelta(days=2),
                late="run",
                author="ann",
            ),
            now,
        )
        prune_all(platform)
        assert sorted(platform.artifacts.digests()) == sorted(digests)


def test_until_then_and_while_an_operation_is_under_way_no_artifact_is_removed(deployed) -> None:
    home, digests = deployed
    with home.opened() as platform:
        prune_all(platform)
        assert sorted(platform.artifacts.digests()) == sorted(digests)
    with later(home) as platform:
        request = Request(
            kind="deploy",
            project="store",
            environment="staging",
            wants=[Want("environment:store/staging")],
            sentence="deploy",
            parameters={},
            actor="ann",
        )
        with platform.operations.run(request):
            prune_all(platform)
            assert sorted(platform.artifacts.digests()) == sorted(digests)


def test_data_whose_retention_is_over_leave_an_environment_that_nobody_deploys_to(home: Home) -> None:
    plans = home.path / "config/plans.yaml"
    plans.write_text(plans.read_text().replace("data_retention: 0", "data_retention: 1d"))
    home.run("deploy_environment", environment=MASTER)
    for version in (2, 3, 4):
        home.commit(application(version, schema=version))
        home.push()
        home.run("deploy_environment", environment=MASTER)
    with home.opened() as platform:
        environment = environment_at(platform, MASTER)
        before = len(platform.store.deployments.versions(environment))
    with later(home) as platform:
        (said,) = [each for each in prune_all(platform) if each.startswith(MASTER)]
        kept = platform.store.deployments.versions(environment)
        assert said == f"{MASTER}: {before - len(kept)} data versions, 0 releases"
        assert set(platform.current(environment).data.values()) <= {each.id for each in kept}
        (activity,) = [each for each in platform.store.activities.recent() if each.kind == "prune"]
        assert (activity.outcome, activity.actor) == ("success", "branchline")
        assert not [each for each in prune_all(platform) if each.startswith(MASTER)]


def test_old_logs_announcements_and_pushes_go_and_activities_stay(home: Home) -> None:
    done = home.run("deploy_environment", environment=MASTER)
    with home.opened() as platform:
        log = platform.layout.log(done.activity)
        log.touch()
        with platform.store.database.write() as session:
            session.add(ended_push(platform))
        assert platform.store.announcements.unsent()
        prune_all(platform)
        assert log.exists()
        assert platform.store.announcements.unsent()
        assert kept(platform)
    with later(home) as platform:
        prune_all(platform)
        assert not log.exists()
        assert not kept(platform)
        assert not platform.store.announcements.unsent()
        assert platform.store.activities.get(done.activity).outcome == "success"


def test_it_is_done_once_a_day(home: Home) -> None:
    log = home.path / "home/logs/a-1.log"
    log.parent.mkdir(exist_ok=True)
    for time, still_there in (
        (LATER, False),
        (LATER + PRUNES_EVERY / 2, True),
        (LATER + PRUNES_EVERY, False),
    ):
        log.touch()
        with later(home, time) as platform:
            prune_when_due(platform)
        assert log.exists() is still_there
