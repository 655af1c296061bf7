"""One command brings everything up from nothing, another brings all of it down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest
from prefect.states import Running

from branchline.errors import BadInput, Unavailable
from branchline.launch.server import Server
from tests.server.prefect_server import until
from tests.server.upped import Keeper, Upped, environment

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

TOMORROW = datetime.now(UTC) + timedelta(days=1)


def branchline(up: Upped, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "branchline", *words],
        env=environment(up.home),
        text=True,
        capture_output=True,
        check=False,
    )


def test_its_pages_answer_and_it_says_where_they_are_and_where_to_push(up: Upped) -> None:
    assert httpx.get(up.said["ui"], follow_redirects=True).is_success
    assert dict(up.said["projects"])["store"].endswith("repositories/store.git")
    assert up.said["api"] == up.said["ui"] + "/api"


def test_every_flow_is_there_and_production_has_its_queue_first(up: Upped) -> None:
    with up.server.asked() as api:
        queues = {each.name: each.priority for each in api.read_work_queues(work_pool_name="branchline")}
        names = {each.name for each in api.read_deployments()}
    assert queues["production"] < queues["default"]
    assert {"deploy", "sync-data", "ui", "recover", "sweep"} <= names


def test_what_is_started_twice_with_one_key_runs_once_and_can_be_cancelled(up: Upped) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    asked = {
        "parameters": {"environment": "store/production"},
        "key": "release:7",
        "at": at,
        "production": True,
    }
    run = up.server.start("deploy/deploy", **asked)
    assert up.server.start("deploy/deploy", **asked) == run
    found = up.server.api.read_flow_run(UUID(run))
    assert (found.work_queue_name, found.next_scheduled_start_time) == ("production", at)
    up.server.cancel(run)
    up.server.cancel(run)
    assert up.server.state(run).type == "CANCELLED"


@pytest.mark.parametrize(
    ("deployment", "parameters", "words"),
    [
        ("deploy/deploy", {"environment": "no-slash"}, "does not match"),
        ("deploy/nowhere", {}, "has no deployment 'deploy/nowhere'"),
    ],
)
def test_what_the_server_does_not_take_is_bad_input(
    up: Upped, deployment: str, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        up.server.start(deployment, parameters)
    assert refused.value.number == 351
    assert words in refused.value.message


def test_a_server_that_is_not_there_is_said_in_one_sentence_without_its_password() -> None:
    away = Server("http://ann:hidden@127.0.0.1:9/api")
    assert not away.alive()
    with pytest.raises(Unavailable) as unavailable, away.asked(retries=0) as api:
        api.read_deployments()
    assert unavailable.value.number == 350
    assert "http://127.0.0.1:9/api" in str(unavailable.value)
    assert "hidden" not in str(unavailable.value)


def test_it_listens_to_its_own_pages_only(up: Upped) -> None:
    def allowed(origin: str) -> str | None:
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return httpx.options(f"{up.said['api']}/flows/filter", headers=asked).headers.get(
            "access-control-allow-origin"
        )

    assert allowed(up.said["ui"]) == up.said["ui"]
    assert allowed("https://elsewhere.example") is None


def test_a_second_one_of_the_same_home_says_who_is_first(up: Upped) -> None:
    refused = branchline(up, "up")
    assert refused.returncode == 3
    assert f"process {up.process.pid} " in refused.stderr
    assert up.said["api"] in refused.stderr


def test_status_says_what_runs(up: Upped) -> None:
    def running() -> dict[str, Any] | None:
        said: dict[str, Any] = json.loads(branchline(up, "status", "--json").stdout)["running"]
        return said if said["workers"] else None

    said = until(running, 60, "the dispatcher has heard of the worker")
    assert (said["server"], said["reachable"]) == (up.said["api"], True)
    assert said["dispatcher"].startswith(f"process {up.child('dispatcher').pid} on ")


def test_told_to_stop_it_waits_for_a_deploy_under_way_and_nothing_of_it_is_left(
    up: Upped, keeper: Keeper
) -> None:
    before = up.project("drained")
    elsewhere = up.server.start(
        "deploy/deploy", {"environment": "store/master"}, at=TOMORROW, name="a far one"
    )
    up.server.api.set_flow_run_state(UUID(elsewhere), Running(), force=True)
    up.server.api.update_flow_run_labels(UUID(elsewhere), {"prefect.worker.name": "away"})
    run = up.deploy("drained")
    family, output = up.family(), up.home.path / "up.out"
    up.process.terminate()
    until(lambda: "waiting for deploy drained/master" in output.read_text(), 60, "it says what it waits for")
    assert up.process.is_running()
    up.release("drained")
    assert up.process.wait(120) == 0
    assert [each for each in family if each.is_running()] == []
    assert up.current("drained") != before
    assert up.activity(run).outcome == "success"
    again = keeper.running()
    assert again.server.state(run).name == "Completed"
    assert again.server.state(elsewhere).type == "RUNNING"
    assert again.ended(again.server.start("sweep/sweep", {})) == "Completed"


def test_down_at_once_cancels_what_runs_and_it_is_undone(up: Upped) -> None:
    before = up.project("hurried")
    run = up.deploy("hurried")
    family = up.family()
    done = branchline(up, "down", "--now")
    assert done.returncode == 0, done.stderr
    assert "down" in done.stdout
    assert up.process.wait(10) == 0
    assert [each for each in family if each.is_running()] == []
    assert (up.current("hurried"), up.left("hurried")) == (before, [])
    assert (up.activity(run).state, up.activity(run).committed_at) == ("cancelled", None)
    assert branchline(up, "down").stdout == "nothing was up\n"
    assert not [each for each in psutil.process_iter() if str(up.home.path) in _environ(each)]


def _environ(process: psutil.Process) -> str:
    try:
        return process.environ().get("BRANCHLINE_HOME", "") if process.pid != os.getpid() else ""
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
