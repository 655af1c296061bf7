"""The real command, ended or stopped by real signals while it runs a hook."""

import signal
import subprocess

import pytest

from branchline.launch import run_flow
from tests.kill.children import Children
from tests.workshop.application import application
from tests.workshop.home import PROJECT, Home
from tests.workshop.litter import litter, version_served
from tests.workshop.thorough import ALL, HOOKS
from tests.workshop.waiting import until

pytestmark = pytest.mark.kill
HANGING = "echo it hangs now; sleep 600"


def hanging(home: Home) -> "subprocess.Popen[str]":
    """A deploy of what is pushed, in the middle of a hook that hangs."""
    process = home.start("deploy", "store/master")
    logs = home.path / "home/logs"
    until(
        lambda: any("it hangs now" in log.read_text() for log in logs.glob("*")) or process.poll() is not None
    )
    assert process.poll() is None, process.communicate()
    return process


def pushed_beside_one_that_runs(home: Home, **hooks: str) -> None:
    home.run("deploy_environment", environment="store/master")
    home.commit(application(2, schema=2, **hooks))
    home.push()


@pytest.mark.parametrize(
    ("where", "number"),
    [*((where, signal.SIGTERM) for where in ("build", "deploy", "check")), ("deploy", signal.SIGINT)],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_deploy_that_is_told_to_end_undoes_itself(home: Home, where: str, number: signal.Signals) -> None:
    pushed_beside_one_that_runs(home, **{where: HANGING})
    process = hanging(home)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    with home.opened() as platform:
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "1"
        (ended,) = platform.store.activities.recent(limit=1)
        assert (ended.state, ended.result) == ("cancelled", "failure")
        assert ended.reason is not None
        assert ended.reason.startswith("nothing changed: cancelled")


def test_told_to_end_behind_the_switch_it_finishes_without_the_hook(home: Home) -> None:
    pushed_beside_one_that_runs(home, post_deploy=HANGING)
    process = hanging(home)
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    with home.opened() as platform:
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "2"
        (ended,) = platform.store.activities.recent(limit=1)
        assert (ended.state, ended.result) == ("complete", "success")
        assert ended.warnings == ("post_deploy did not run to its end: the operation was cancelled",)


@pytest.mark.parametrize(
    ("where", "sandbox"), [*((where, "none") for where in HOOKS), *[("deploy", "auto")][:ALL]]
)
def test_killed_while_a_hook_runs_recovery_leaves_nothing(home: Home, where: str, sandbox: str) -> None:
    home.configure({"sandbox": sandbox})
    pushed_beside_one_that_runs(home, **{where: HANGING})
    process = hanging(home)
    process.kill()
    process.wait(30)
    home.configure({"sandbox": sandbox, "hook_timeout": 0.2})
    with home.opened() as platform:
        (ended,) = platform.operations.recover()
        assert litter(platform, home) == []
        expected = ("success", "2") if where == "post_deploy" else ("failure", "1")
        assert (ended.result, version_served(platform, "store/master")) == expected


def test_a_stopped_holder_is_taken_over_and_changes_nothing_when_it_goes_on(home: Home) -> None:
    pushed_beside_one_that_runs(home, deploy=HANGING)
    home.configure({"lease_duration": 1, "heartbeat": 0.3})
    holder = hanging(home)
    holder.send_signal(signal.SIGSTOP)
    home.commit(application(3, schema=3))
    home.push()
    with home.opened() as platform:
        (stopped,) = platform.store.activities.unended()
        done = run_flow("deploy_environment", {"environment": "store/master", "wait": True})
        assert done.outcome == "success"
        assert holder.poll() == -signal.SIGKILL
        assert platform.store.activities.get(stopped.id).result == "failure"
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "3"


def test_eight_at_once_that_wait_deploy_one_after_another(home: Home, flows: Children) -> None:
    parameters = {"environment": "store/master", "wait": True}
    assert flows.run_many(home, "deploy_environment", parameters, times=8) == [0] * 8
    with home.opened() as platform:
        results = sorted(str(each.result) for each in platform.store.activities.recent())
        assert results == ["skipped"] * 7 + ["success"]
        assert litter(platform, home) == []


def test_while_one_runs_others_that_do_not_wait_are_told_that_it_is_busy(home: Home, flows: Children) -> None:
    gate = "echo it hangs now; while test ! -e media/go; do sleep 0.02; done; python3 -SI migrate.py"
    pushed_beside_one_that_runs(home, deploy=gate)
    first = hanging(home)
    assert flows.run_many(home, "deploy_environment", {"environment": "store/master"}, times=7) == [4] * 7
    (media,) = (home.path / f"home/environments/{PROJECT}/master/mounts/media").iterdir()
    (media / "go").touch()
    assert first.wait(60) == 0
    with home.opened() as platform:
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "2"


def test_an_operation_waits_for_the_build_of_the_same_tree(home: Home, flows: Children) -> None:
    for branch in ("one", "two", "three"):
        home.push(branch)
    codes = flows.run_many(home, "build_artifact", {"project": PROJECT, "ref": "one"}, times=4)
    assert codes == [0] * 4
    with home.opened() as platform:
        assert len(platform.store.artifacts.all()) == 1
        assert litter(platform, home) == []
