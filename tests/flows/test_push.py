"""What a push does, from the row that its hook wrote to the environment: with runs in this process."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import text

from branchline.domain.activity import Grip, Holder, NewActivity, Want
from branchline.domain.push import FOUND, MOST_ATTEMPTS, NewPush, Push
from branchline.errors import BadInput, Refused, Unavailable
from branchline.launch import run_flow
from branchline.launch.duties import pushes as duty
from branchline.platform import Platform
from branchline.steps import projects
from branchline.steps.promote import environment_at
from branchline.steps.pushes import scan
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, version_served
from tests.workshop.pushing import FakeServer, care, dispatch, in_words, push

SECOND = timedelta(seconds=1)


@dataclass
class Stage:
    home: Home
    platform: Platform
    server: FakeServer = field(default_factory=FakeServer)

    def commit(self, version: int, **asked: object) -> str:
        return self.home.commit(application(version, kind="none", **asked))

    def pushed(self, *what: str) -> list[Push]:
        """Their rows, once Git has taken them."""
        before = {each.id for each in self.platform.store.pushes.recent(limit=10_000)}
        done = push(self.home, *what)
        assert done.accepted, done.said
        return sorted(
            (each for each in self.platform.store.pushes.recent(limit=10_000) if each.id not in before),
            key=lambda each: each.id,
        )

    def dispatch(self) -> None:
        dispatch(self.platform, self.server)

    def outcome(self, pushed: Push) -> tuple[str, str | None]:
        now = self.platform.store.pushes.get(pushed.id)
        return now.state, now.reason

    def deployed_push(self, version: int, branch: str = "master") -> Push:
        self.commit(version)
        (row,) = self.pushed("-f", f"HEAD:{branch}")
        self.dispatch()
        assert self.outcome(row)[0] == "done", self.outcome(row)
        return self.platform.store.pushes.get(row.id)

    def status(self, path: str) -> str:
        return environment_at(self.platform, path).status


@pytest.fixture
def stage(home: Home) -> Iterator[Stage]:
    with home.opened() as platform:
        yield Stage(home, platform)


def test_a_push_makes_an_environment_for_its_branch_and_deploys_the_commit_for_whoever_pushed(stage):
    commit = stage.commit(2)
    (row,) = stage.pushed("HEAD:feature/x")
    assert (row.state, row.branch, row.old, row.new) == ("waiting", "feature/x", None, commit)
    stage.dispatch()
    done = stage.platform.store.pushes.get(row.id)
    activity = stage.platform.store.activities.get(done.activity_id)
    assert (done.state, activity.actor, activity.outcome) == ("done", row.pusher, "success")
    assert stage.status("store/feature-x") == "active"
    assert version_served(stage.platform, "store/feature-x") == "2"
    assert stage.platform.current(environment_at(stage.platform, "store/feature-x")).commit == commit
    assert stage.server.parameters == {"run 1": {"push": row.id}}
    assert litter(stage.platform, stage.home) == []


def test_what_runs_already_is_skipped_and_a_push_that_fails_says_why(stage):
    first = stage.deployed_push(2)
    stage.home.commit(application(2, kind="none"), subject="Nothing changed")
    (again,) = stage.pushed("HEAD:master")
    stage.dispatch()
    assert stage.outcome(again)[0] == "skipped"
    assert "runs artifact" in stage.outcome(again)[1]
    stage.commit(3, build="exit 7")
    (broken,) = stage.pushed("HEAD:master")
    stage.dispatch()
    state, reason = stage.outcome(broken)
    assert state == "failed"
    assert reason.startswith("nothing changed: ")
    assert stage.platform.current(environment_at(stage.platform, "store/master")).commit == first.new


def test_of_the_pushes_that_arrive_while_one_runs_the_newest_wins(stage):
    stage.deployed_push(2)
    stage.commit(3)
    (runs,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    between = []
    for version in (4, 5, 6):
        stage.commit(version)
        between += stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    newest = between[-1]
    assert [stage.outcome(each) for each in between[:-1]] == [
        ("skipped", f"superseded by {newest.new[:12]}")
    ] * 2
    assert (stage.outcome(runs)[0], stage.outcome(newest)[0]) == ("running", "waiting")
    assert len(stage.server.runs) == 2
    stage.dispatch()
    assert (stage.outcome(runs)[0], stage.outcome(newest)[0]) == ("done", "done")
    assert len(stage.server.runs) == 3
    assert version_served(stage.platform, "store/master") == "6"


def test_a_hook_that_writes_late_does_not_bring_an_older_commit_back(stage):
    first, second = stage.commit(2), stage.commit(3)
    (row,) = stage.pushed("HEAD:master")
    late = NewPush("store", "master", None, first, "ann")
    (older,) = stage.platform.store.pushes.add([late], stage.platform.clock())
    stage.dispatch()
    assert stage.outcome(row)[0] == "done"
    assert stage.outcome(older) == ("skipped", f"superseded by {second[:12]}")
    (alone,) = stage.platform.store.pushes.add([late], stage.platform.clock())
    stage.dispatch()
    assert stage.outcome(alone) == ("skipped", f"superseded by {second[:12]}")
    assert version_served(stage.platform, "store/master") == "3"


def test_branches_are_deployed_side_by_side(stage):
    stage.commit(2)
    stage.pushed("HEAD:one", "HEAD:two")
    duty.run(stage.platform, stage.server)
    assert len(stage.server.waiting()) == 2


def test_a_deleted_branch_frees_its_slot_and_its_data_are_kept(stage):
    stage.home.commit(application(2))
    stage.pushed("HEAD:feature")
    stage.dispatch()
    environment = environment_at(stage.platform, "store/feature")
    data = stage.platform.current(environment).data.values()
    (gone,) = stage.pushed("--delete", "feature")
    assert gone.new is None
    stage.dispatch()
    assert stage.outcome(gone)[0] == "done"
    assert stage.status("store/feature") == "inactive"
    kept = stage.platform.store.deployments.backed_up(environment, stage.platform.clock())
    assert set(data) <= set(kept)
    assert not stage.platform.layout.current(environment).exists()
    assert litter(stage.platform, stage.home) == []
    (again,) = stage.pushed("HEAD:feature")
    stage.dispatch()
    assert (stage.outcome(again)[0], stage.status("store/feature")) == ("done", "active")


def test_a_deleted_branch_that_nothing_ran_for_starts_no_run(stage):
    stage.home.commit({"README": "nothing to run"})
    (made,) = stage.pushed("HEAD:notes")
    stage.dispatch()
    assert stage.outcome(made)[0] == "skipped"
    assert ".branchline/app.yaml" in stage.outcome(made)[1]
    (gone,) = stage.pushed("--delete", "notes")
    stage.dispatch()
    assert stage.outcome(gone) == ("skipped", "the branch was deleted, and nothing ran for it")
    assert stage.server.runs == {}


def test_production_is_never_deactivated_by_a_push(stage):
    commit = stage.commit(2)
    stage.pushed("HEAD:production")
    stage.dispatch()
    (row,) = stage.platform.store.pushes.add(
        [NewPush("store", "production", commit, None, "ann")], stage.platform.clock()
    )
    stage.home._git(
        f"--git-dir={stage.platform.layout.repository('store')}", "update-ref", "-d", "refs/heads/production"
    )
    stage.dispatch()
    assert stage.outcome(row)[0] == "skipped"
    assert "never deactivated" in stage.outcome(row)[1]
    assert stage.status("store/production") == "active"


def test_the_first_import_into_a_protected_branch_is_deployed_and_closes_it(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:production")
    stage.dispatch()
    assert (stage.outcome(row)[0], stage.status("store/production")) == ("done", "active")
    assert stage.server.production == ["run 1"]
    stage.commit(3)
    refused = push(stage.home, "HEAD:production")
    assert not refused.accepted
    assert "moved by promotion only" in refused.said


def test_a_bad_configuration_is_refused_with_its_file_and_key_and_leaves_no_row(stage):
    files = {**application(2), ".branchline/app.yaml": "name: tiny\ntype: python:3.11\nnosuchkey: 1\n"}
    stage.home.commit(files)
    before = stage.platform.store.pushes.recent(limit=100)
    refused = push(stage.home, "HEAD:feature", "HEAD:other")
    assert not refused.accepted
    assert "app.yaml" in refused.said
    assert "nosuchkey" in refused.said
    assert stage.platform.store.pushes.recent(limit=100) == before


# slots


def test_a_branch_without_a_slot_gets_an_inactive_environment_and_no_run(stage):
    stage.commit(2)
    stage.pushed(*(f"HEAD:b{number}" for number in range(8)))
    stage.dispatch()
    runs = len(stage.server.runs)
    (row,) = stage.pushed("HEAD:one-too-many")
    stage.dispatch()
    state, reason = stage.outcome(row)
    assert state == "skipped"
    assert reason.startswith("store/one-too-many stays inactive: the plan pro has 8 slots")
    assert stage.status("store/one-too-many") == "inactive"
    assert len(stage.server.runs) == runs == 8


def test_a_push_whose_slot_may_be_taken_waits_until_that_is_known(stage):
    stage.commit(2)
    stage.pushed(*(f"HEAD:b{number}" for number in range(7)))
    stage.dispatch()
    stage.commit(3, build="exit 7")
    (fails,) = stage.pushed("HEAD:fails")
    duty.run(stage.platform, stage.server)
    stage.commit(4)
    (waits,) = stage.pushed("HEAD:waits")
    duty.run(stage.platform, stage.server)
    assert (stage.outcome(fails)[0], stage.outcome(waits)[0]) == ("running", "waiting")
    stage.dispatch()
    assert (stage.outcome(fails)[0], stage.outcome(waits)[0]) == ("failed", "done")


@pytest.mark.timeout(120)
def test_500_branches_in_one_push_cost_as_many_runs_as_there_are_slots(stage):
    stage.commit(2)
    rows = stage.pushed(*(f"HEAD:branch-{number:03}" for number in range(500)))
    assert len(rows) == 500
    stage.dispatch()
    found = stage.platform.store.pushes.these([row.id for row in rows])
    assert [each.state for each in found].count("done") == 8
    assert {each.state for each in found} == {"done", "skipped"}
    assert all("stays inactive" in each.reason for each in found if each.state == "skipped")
    assert len(stage.server.runs) == 8
    project = stage.platform.store.environments.project("store")
    names = {each.name for each in stage.platform.store.environments.of(project)}
    assert {f"branch-{number:03}" for number in range(500)} <= names
    began = time.perf_counter()
    assert duty.run(stage.platform, stage.server) is None
    assert time.perf_counter() - began < 5


def test_a_branch_whose_environment_would_be_another_ones_fails_in_words(stage):
    stage.deployed_push(2, "feature/x")
    stage.pushed("--delete", "feature/x")
    stage.dispatch()
    (row,) = stage.pushed("HEAD:feature-x")
    stage.dispatch()
    assert stage.outcome(row) == (
        "failed",
        "store/feature-x is the environment of branch feature/x: choose another name",
    )


# what goes astray


def test_a_push_waits_again_when_its_run_cannot_be_started(stage):
    stage.commit(2)
    (one, two) = stage.pushed("HEAD:one", "HEAD:two")
    stage.server.away = True
    with pytest.raises(Unavailable):
        duty.run(stage.platform, stage.server)
    assert [stage.outcome(each)[0] for each in (one, two)] == ["waiting", "waiting"]
    stage.server.away = False
    stage.dispatch()
    assert [stage.outcome(each)[0] for each in (one, two)] == ["done", "done"]


def test_a_project_that_cannot_be_read_holds_up_no_other(stage):
    projects.init_project(stage.platform, "broken", "pro", None)
    now = stage.platform.clock()
    stage.platform.store.pushes.add([NewPush("broken", "master", None, "1" * 40, "ann")], now)
    (stage.platform.layout.repository("broken") / "HEAD").unlink()
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    with pytest.raises(Exception, match="not a Git repository"):
        duty.run(stage.platform, stage.server)
    stage.server.work()
    assert stage.outcome(row)[0] == "done"


def test_a_run_that_comes_twice_deploys_once(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    stage.dispatch()
    with pytest.raises(Refused) as refused:
        run_flow("deploy_push", {"push": row.id})
    assert refused.value.number == 179
    deploys = [each for each in stage.platform.store.activities.recent("store") if each.kind == "deploy"]
    assert len(deploys) == 1


def test_a_run_whose_push_another_one_has_begun_meanwhile_changes_nothing(stage, monkeypatch):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    claimed = stage.platform.store.pushes.get(row.id)
    stage.server.work()
    before = stage.platform.current(environment_at(stage.platform, "store/master"))
    monkeypatch.setattr(type(stage.platform.store.pushes), "get", lambda *_: claimed)
    with pytest.raises(Refused) as refused:
        run_flow("deploy_push", {"push": row.id})
    monkeypatch.undo()
    assert refused.value.number == 180
    assert stage.outcome(row)[0] == "done"
    assert stage.platform.current(environment_at(stage.platform, "store/master")) == before


def test_an_unknown_push_is_named(stage):
    with pytest.raises(BadInput) as unknown:
        run_flow("deploy_push", {"push": 4711})
    assert unknown.value.number == 177


def test_a_push_that_fails_before_its_operation_begins_has_failed(stage, monkeypatch):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)

    def busy(*_: object) -> None:
        raise Unavailable(313, "store/master is busy.", "wait")

    monkeypatch.setattr(type(stage.platform.operations), "run", busy)
    stage.server.work()
    assert stage.outcome(row) == ("failed", "store/master is busy. [B313]")


def test_a_run_that_never_came_is_started_again_and_in_the_end_given_up(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        taken = stage.platform.store.pushes.get(row.id)
        stage.server.ends(f"run {attempt}", "CRASHED", "its process was killed")
        care(stage.platform, stage.server, taken.taken_at + 10 * SECOND)
        assert stage.outcome(row)[0] == "running"
        assert len(stage.server.runs) == attempt
        care(stage.platform, stage.server, taken.taken_at + 60 * SECOND)
    assert len(stage.server.runs) == MOST_ATTEMPTS
    state, reason = stage.outcome(row)
    assert state == "failed"
    assert "its process was killed (after 3 attempts)" in reason


def test_a_run_that_was_lost_with_the_dispatcher_is_started(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.take(stage.platform, "store", stage.platform.store.pushes.waiting())
    taken = stage.platform.store.pushes.get(row.id)
    assert (taken.state, stage.server.runs) == ("running", {})
    care(stage.platform, stage.server, taken.taken_at + 60 * SECOND)
    stage.server.work()
    assert (stage.outcome(row)[0], len(stage.server.runs)) == ("done", 1)


def test_a_run_that_waits_in_a_queue_is_left_there(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    taken = stage.platform.store.pushes.get(row.id)
    care(stage.platform, stage.server, taken.taken_at + 3600 * SECOND)
    assert (len(stage.server.runs), stage.platform.store.pushes.get(row.id)) == (1, taken)


def test_a_run_that_somebody_cancelled_is_not_started_again(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    duty.run(stage.platform, stage.server)
    stage.server.ends("run 1", "CANCELLED")
    care(stage.platform, stage.server, stage.platform.clock() + 60 * SECOND)
    assert stage.outcome(row) == ("failed", "cancelled")
    assert len(stage.server.runs) == 1


def begun_by_a_dead_process(stage: Stage, row: Push) -> None:
    """As a process leaves it that is killed in the middle of the operation."""
    duty.run(stage.platform, stage.server)
    this = stage.platform.operations.processes.this()
    dead = Holder(this.host, this.boot, 2**22 - 1, 1.0)
    new = NewActivity("a-dead", "deploy", "store", "master", {}, "ann", None, "deploy")
    now = stage.platform.clock()
    got = stage.platform.store.activities.begin(new, [Want("environment:store/master")], dead, now, 60)
    assert isinstance(got, Grip)
    assert stage.platform.store.pushes.began(stage.platform.store.pushes.get(row.id), "a-dead")
    stage.server.ends("run 1", "CRASHED", "killed")


def test_a_push_whose_process_died_is_begun_again_once_that_is_recovered(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    begun_by_a_dead_process(stage, row)
    care(stage.platform, stage.server)
    assert len(stage.server.runs) == 1
    run_flow("recover_operations", {})
    assert stage.outcome(row)[0] == "running"
    care(stage.platform, stage.server)
    stage.dispatch()
    assert (stage.outcome(row)[0], len(stage.server.runs)) == ("done", 2)
    assert version_served(stage.platform, "store/master") == "2"


def test_a_push_whose_process_died_is_not_begun_again_when_the_branch_has_moved_on(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    begun_by_a_dead_process(stage, row)
    run_flow("recover_operations", {})
    newer = stage.commit(3)
    stage.pushed("HEAD:master")
    care(stage.platform, stage.server)
    assert stage.outcome(row) == ("skipped", f"superseded by {newer[:12]}")
    stage.dispatch()
    assert version_served(stage.platform, "store/master") == "3"


def test_a_push_that_somebody_unlocked_stays_ended(stage):
    stage.commit(2)
    (row,) = stage.pushed("HEAD:master")
    begun_by_a_dead_process(stage, row)
    stage.platform.operations.unlock("environment:store/master", "it hangs", "ann")
    care(stage.platform, stage.server)
    assert (stage.outcome(row)[0], len(stage.server.runs)) == ("failed", 1)


# what was never written down


def lost(stage: Stage, *what: str) -> None:
    """A push whose hook could not write."""
    hook = stage.platform.layout.repository("store") / "hooks/post-receive"
    away = hook.rename(hook.with_name("away"))
    assert push(stage.home, *what).accepted
    away.rename(hook)


def scanned(stage: Stage) -> list[str]:
    return in_words(scan(stage.platform, stage.platform.store.environments.project("store")))


def test_a_push_that_was_not_written_down_is_found_and_deployed(stage):
    stage.deployed_push(2)
    stage.commit(3)
    lost(stage, "HEAD:master", "HEAD:new")
    care(stage.platform, stage.server)
    assert scanned(stage) == []
    stage.dispatch()
    assert version_served(stage.platform, "store/master") == "3"
    assert version_served(stage.platform, "store/new") == "3"
    (found, *_) = stage.platform.store.pushes.recent()
    assert found.pusher == FOUND


def test_a_deletion_and_a_return_to_an_older_commit_are_found_too(stage):
    first = stage.deployed_push(2)
    stage.deployed_push(3)
    stage.deployed_push(2, "feature")
    lost(stage, "--delete", "feature")
    lost(stage, "-f", f"{first.new}:master")
    assert scanned(stage) == ["feature: waiting", "master: waiting"]
    stage.dispatch()
    assert stage.status("store/feature") == "inactive"
    assert version_served(stage.platform, "store/master") == "2"


def test_what_init_brought_and_what_promotion_or_people_moved_is_not_found(stage):
    assert scanned(stage) == []
    stage.deployed_push(2)
    run_flow("promote_to_staging", {"project": "store"})
    stage.deployed_push(3)
    run_flow("promote_to_staging", {"project": "store"})
    run_flow("roll_back_environment", {"environment": "store/staging"})
    assert scanned(stage) == []
    stage.commit(4)
    lost(stage, "HEAD:by-hand")
    run_flow("deploy_environment", {"environment": "store/by-hand"})
    assert scanned(stage) == []


def test_a_hook_that_comes_after_the_look_into_the_repository_takes_that_row(stage):
    commit = stage.commit(2)
    lost(stage, "HEAD:master")
    (found,) = scan(stage.platform, stage.platform.store.environments.project("store"))
    new = NewPush("store", "master", None, commit, "ann")
    (row,) = stage.platform.store.pushes.add([new], stage.platform.clock())
    assert (row.id, row.pusher) == (found.id, "ann")


def test_a_home_from_before_gets_its_hooks_and_what_it_had_is_not_deployed(stage):
    repository = stage.platform.layout.repository("store")
    (repository / "hooks/post-receive").unlink()
    with stage.platform.store.database.write() as session:
        session.execute(text("DELETE FROM pushes"))
    stage.commit(2)
    assert push(stage.home, "HEAD:feature").accepted
    care(stage.platform, stage.server)
    rows = stage.platform.store.pushes.recent()
    assert {each.branch: each.state for each in rows} == {"master": "skipped", "feature": "skipped"}
    assert {each.reason for each in rows} == {projects.THERE_BEFORE}
    stage.commit(3)
    (row,) = stage.pushed("HEAD:feature")
    assert row.state == "waiting"


def test_old_pushes_are_forgotten_but_for_the_last_of_each_branch(stage):
    stage.deployed_push(2)
    last = stage.deployed_push(3)
    waiting = stage.pushed("HEAD:other")
    assert stage.platform.store.pushes.forget(stage.platform.clock() + SECOND) == 2
    assert [each.id for each in stage.platform.store.pushes.recent()] == [waiting[0].id, last.id]
    assert scanned(stage) == []
