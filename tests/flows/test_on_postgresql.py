"""A day with the state on PostgreSQL: what is killed is ended from the journal, as on SQLite."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from branchline.errors import BadInput
from branchline.launch import run_flow
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, schema_served, version_served
from tests.workshop.waiting import until

HANGING = "echo it hangs now; sleep 600"


def deploy(home: Home, version: int, **asked: object) -> None:
    home.commit(application(version, **asked))  # type: ignore[arg-type]
    home.push()
    home.run("deploy_environment", environment="store/master")


def hanging(home: Home) -> "subprocess.Popen[str]":
    """A deploy of what is pushed, in the middle of a hook."""
    process = home.start("deploy", "store/master")
    logs = home.path / "home/logs"
    until(
        lambda: any("it hangs now" in log.read_text() for log in logs.glob("*")) or process.poll() is not None
    )
    assert process.poll() is None, process.communicate()
    return process


def test_deployed_promoted_and_rolled_back(home_on_postgres: Home) -> None:
    home = home_on_postgres
    deploy(home, 1)
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")
    deploy(home, 2, schema=2)
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")
    home.run("roll_back_environment", environment="store/production", discard_writes=True)
    with home.opened() as platform:
        assert not platform.layout.state.exists()
        assert [version_served(platform, f"store/{name}") for name in ("staging", "production")] == ["2", "1"]
        assert schema_served(platform, "store/production") == 1
        assert litter(platform, home) == []
        assert {each.result for each in platform.store.activities.recent()} == {"success"}


@pytest.mark.kill
@pytest.mark.parametrize("where", ["deploy", "post_deploy"])
def test_killed_while_a_hook_runs_recovery_leaves_nothing(home_on_postgres: Home, where: str) -> None:
    home = home_on_postgres
    deploy(home, 1)
    home.commit(application(2, schema=2, **{where: HANGING}))  # type: ignore[arg-type]
    home.push()
    process = hanging(home)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    home.configure({"hook_timeout": 0.2})
    with home.opened() as platform:
        (ended,) = platform.operations.recover()
        assert litter(platform, home) == []
        expected = ("success", "2") if where == "post_deploy" else ("failure", "1")
        assert (ended.result, version_served(platform, "store/master")) == expected


@pytest.mark.kill
def test_a_stopped_holder_is_taken_over_and_changes_nothing_when_it_goes_on(home_on_postgres: Home) -> None:
    home = home_on_postgres
    deploy(home, 1)
    home.commit(application(2, schema=2, deploy=HANGING))
    home.push()
    home.configure({"lease_duration": 1, "heartbeat": 0.3})
    holder = hanging(home)
    holder.send_signal(signal.SIGSTOP)
    home.commit(application(3, schema=3))
    home.push()
    with home.opened() as platform:
        done = run_flow("deploy_environment", {"environment": "store/master", "wait": True})
        assert done.outcome == "success"
        assert holder.wait(30) == -signal.SIGKILL
        assert litter(platform, home) == []
        assert version_served(platform, "store/master") == "3"


# where the state is


def test_the_url_is_read_from_the_file_that_the_configuration_names(
    home: Home, postgres_url: str, tmp_path: Path
) -> None:
    place = tmp_path / "state-url"
    place.write_text(f"{postgres_url}\n")
    home.configure({"state_url": {"file": str(place)}})
    with home.opened() as platform:
        assert platform.store.database.url.get_backend_name() == "postgresql"
        assert platform.store.environments.projects() == []


def test_the_url_is_read_from_the_variable_that_the_configuration_names(
    home: Home, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_STATE", postgres_url)
    home.configure({"state_url": {"env": "THE_STATE"}})
    with home.opened() as platform:
        assert platform.store.database.url.get_backend_name() == "postgresql"


@pytest.mark.parametrize("place", [{"file": "/nowhere/state-url"}, {"env": "NOT_SET"}, {"file": os.devnull}])
def test_a_url_that_is_not_where_the_configuration_says_is_never_replaced_by_another(
    home: Home, place: dict[str, str]
) -> None:
    home.configure({"state_url": place})
    with pytest.raises(BadInput, match="cannot be read from") as said, home.opened():
        pytest.fail("opened another state")
    assert said.value.number == 309


def test_a_command_says_in_a_sentence_that_its_url_makes_no_sense(home: Home) -> None:
    with Home(home.path, state_url="nonsense://ada:hunter2@db").start("status") as command:
        said = "".join(command.communicate())
    assert command.returncode == 2
    assert "B300" in said
    assert "hunter2" not in said
