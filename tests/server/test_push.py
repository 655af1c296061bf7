"""`git push` against a Branchline that is up: a real server, worker and dispatcher."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import psutil
import pytest

from branchline.domain.activity import Activity
from branchline.domain.push import Push
from branchline.launch.duties import push_care
from branchline.platform import Platform
from branchline.steps.promote import environment_at
from tests.server.prefect_server import until
from tests.server.upped import Upped, upped
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import version_served
from tests.workshop.pushing import command, of_a_pusher, push

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

WAITS = """\
python3 -SI migrate.py
echo the hook waits
while [ ! -e media/go ]; do sleep 0.1; done
"""


@dataclass
class Stage:
    home: Home
    up: Upped
    platform: Platform

    def row(self, branch: str) -> Push:
        """The last push of a branch."""
        return next(each for each in self.platform.store.pushes.recent(limit=100) if each.branch == branch)

    def ended(self, branch: str) -> Push:
        def found() -> Push | None:
            row = self.row(branch)
            return row if row.ended_at else None

        return until(found, 180, f"the push of {branch} ends")

    def in_its_hook(self, branch: str) -> Activity:
        """The operation of a push whose deploy hook waits now."""

        def found() -> Activity | None:
            rows = self.platform.store.pushes.recent(limit=100)
            activity_id = next((each.activity_id for each in rows if each.branch == branch), None)
            log = self.platform.layout.log(activity_id or "none")
            waits = log.exists() and "the hook waits" in log.read_text()
            return self.platform.store.activities.get(activity_id or "") if waits else None

        return until(found, 180, f"the hook of {branch} waits")

    def let_go(self, branch: str) -> None:
        """Its hooks wait no more."""
        environment = environment_at(self.platform, f"store/{branch}")
        for version in self.platform.store.deployments.versions(environment):
            if version.kind == "mount":
                (self.platform.layout.mount(environment, version) / "go").touch()

    @contextmanager
    def pushing(self, branch: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            command(self.home, f"HEAD:{branch}"),
            cwd=self.home.path / "checkout",
            env=of_a_pusher(),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """`early` was pushed before anything was up."""
    home = Home(tmp_path_factory.mktemp("push") / "branchline").make()
    home.commit(application(1))
    home.init()
    home.commit(application(2))
    early = push(home, "HEAD:early")
    assert "Branchline is not up" in early.said
    with upped(home) as up, home.opened() as platform:
        yield Stage(home, up, platform)
    home.remove()


def test_what_was_pushed_while_nothing_was_up_is_deployed_when_it_is(stage: Stage) -> None:
    assert stage.ended("early").state == "done"
    assert version_served(stage.platform, "store/early") == "2"


def test_the_pushing_terminal_sees_the_steps_until_the_environment_is_switched(stage: Stage) -> None:
    commit = stage.home.commit(application(3))
    done = push(stage.home, "HEAD:feature")
    assert done.accepted
    assert "feature: preflight done" in done.said
    assert "feature: switch done" in done.said
    assert f"Branchline: store/feature runs {commit[:12]}" in done.said
    assert version_served(stage.platform, "store/feature") == "3"
    row = stage.row("feature")
    activity = stage.platform.store.activities.get(row.activity_id or "")
    assert (row.state, activity.actor) == ("done", row.pusher)
    assert activity.flow_run_id is not None
    with stage.up.server.asked() as api:
        run = api.read_flow_run(activity.flow_run_id)  # type: ignore[arg-type]
    assert run.name == f"push of store by {row.pusher}: {commit[:12]} on feature"
    assert (run.state_name, run.parameters) == ("Completed", {"push": row.id})


def test_of_three_pushes_while_one_runs_the_newest_wins_and_who_hung_up_changes_nothing(stage: Stage) -> None:
    stage.home.commit(application(4, deploy=WAITS))
    with stage.pushing("busy") as process:
        stage.in_its_hook("busy")
        os.killpg(process.pid, 1)
        process.communicate(timeout=60)
    first = stage.row("busy")
    between = []
    for version in (5, 6, 7):
        stage.home.commit(application(version))
        assert push(stage.home, "--push-option=branchline.wait=no", "HEAD:busy").accepted
        between.append(stage.row("busy"))
    newest = between[-1]
    pushes = stage.platform.store.pushes
    until(lambda: pushes.get(between[1].id).ended_at, 60, "those between are passed over")
    for each in between[:-1]:
        assert pushes.get(each.id).reason in {f"superseded by {row.new[:12]}" for row in between if row.new}
    assert pushes.get(newest.id).state == "waiting"
    assert pushes.get(first.id).state == "running"
    stage.let_go("busy")
    assert stage.ended("busy").id == newest.id
    assert [pushes.get(each.id).state for each in (first, newest)] == ["done", "done"]
    assert version_served(stage.platform, "store/busy") == "7"


def test_a_push_whose_process_is_killed_is_begun_again(stage: Stage) -> None:
    stage.home.commit(application(8, deploy=WAITS))
    assert push(stage.home, "--push-option=branchline.wait=no", "HEAD:killed").accepted
    activity = stage.in_its_hook("killed")
    (lease,) = stage.platform.store.leases.held(activity.id)
    psutil.Process(lease.holder.pid).kill()
    until(lambda: stage.platform.operations.recover() or None, 60, "it is recovered")
    later = stage.platform.clock() + timedelta(seconds=60)
    push_care.run(replace(stage.platform, clock=lambda: later), stage.up.server)
    until(lambda: stage.row("killed").activity_id not in (None, activity.id), 120, "it is begun again")
    stage.in_its_hook("killed")
    stage.let_go("killed")
    row = stage.ended("killed")
    assert (row.state, row.attempts) == ("done", 1)
    assert version_served(stage.platform, "store/killed") == "8"


def test_a_deleted_branch_is_deactivated_and_the_pusher_sees_it(stage: Stage) -> None:
    stage.home.commit(application(9))
    assert push(stage.home, "HEAD:short-lived").accepted
    done = push(stage.home, "--delete", "short-lived")
    assert "store/short-lived is inactive; its data are kept" in done.said
    assert environment_at(stage.platform, "store/short-lived").status == "inactive"
