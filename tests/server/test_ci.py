"""`branchline ci` with a real Prefect server and worker: the job knows nothing but the server's address."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from branchline.domain.activity import Activity
from tests.server.prefect_server import PREFECT, Server, started, until
from tests.server.tiny import Home, deploy, made_home

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

FLOWS = ("deploy", "build", "promote-to-production", "create-release", "run-release")
PROJECTS = ("seen", "same", "broken", "limited", "ended", "joined", "watched", "made", "timed")
FOREVER = "86400"


@dataclass(frozen=True)
class Stage:
    server: Server
    home: Home
    elsewhere: Path
    """A directory with nothing of Branchline in it."""

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The command, as a CI job runs it."""
        ours = ("BRANCHLINE_", "PREFECT_", "GITHUB_", "GITLAB_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        environment |= {
            "PREFECT_API_URL": self.server.environment["PREFECT_API_URL"],
            "PREFECT_HOME": str(self.elsewhere / "prefect"),
            "HOME": str(self.elsewhere),
            "BRANCHLINE_CONFIG": str(self.elsewhere / "there is none"),
        }
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("branchline")), "ci", *words],
            cwd=self.elsewhere,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        job = self.start(*words)
        out, err = job.communicate(timeout=200)
        return job.returncode, out, err

    def activities(self, project: str) -> list[Activity]:
        return list(self.home.platform.store.activities.recent(project))

    def waits(self, project: str) -> str:
        """The id of the run whose hook waits, once it does."""

        def found() -> str | None:
            for each in self.activities(project):
                log = self.home.platform.layout.log(each.id)
                if each.state == "in progress" and log.exists() and "the hook waits" in log.read_text():
                    return each.flow_run_id
            return None

        return until(found, 120, f"the hook of {project} waits")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("stage")
    for name in ("prefect", "elsewhere"):
        (root / name).mkdir()
    with made_home(root) as home, started(root / "prefect", home.environment) as server:
        for project in PROJECTS:
            home.project(project)
        for project in ("limited", "ended"):
            home.push(project, wait=FOREVER)
        deploy("timed/master")
        server.wait_ready()
        server.prefect("work-pool", "create", "branchline", "--type", "process")
        for flow in FLOWS:
            server.register("--name", flow)
        server.start_worker()
        yield Stage(server, home, root / "elsewhere")


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_job_streams_the_steps_and_their_output_and_ends_with_zero(stage: Stage) -> None:
    junit = stage.elsewhere / "junit.xml"
    code, out, err = stage.run("deploy", "seen/master", "--json-lines", "--junit", str(junit))
    assert (code, err) == (0, "")
    told = lines(out)
    assert [each["event"] for each in told[:2]] == ["started", "started"]
    run = told[1]["run"]
    assert told[1]["page"].endswith(f"/runs/flow-run/{run}")
    steps = [each["step"] for each in told if each["event"] == "done"]
    assert steps == [each["step"] for each in told if each["event"] == "begun"]
    assert steps[:2] == ["preflight", "build or reuse the artifact"]
    assert steps[-2:] == ["switch", "finish"]
    places = [each.get("text") or each.get("step") for each in told]
    assert (
        places.index("prepare the data") < places.index("customers: 1") < places.index("check the candidate")
    )
    times = [each["at"] for each in told[2:-1]]
    assert times == sorted(times)
    switch = next(each for each in told if each["event"] == "done" and each["step"] == "switch")
    assert switch["detail"].startswith("seen/master runs ")
    assert switch["seconds"] >= 0
    assert (told[-1]["outcome"], told[-1]["exit_code"], told[-1]["run"]) == ("success", 0, run)
    assert [case.get("name") for case in ET.parse(junit).getroot()[0]] == steps
    (activity,) = stage.activities("seen")
    assert (activity.flow_run_id, activity.outcome) == (run, "success")
    again = lines(stage.run("deploy", "seen/master", "--json-lines")[1])[-1]
    assert (again["outcome"], again["exit_code"]) == ("skipped", 0)


@pytest.mark.parametrize(
    ("words", "code", "outcome", "number"),
    [
        (("deploy", "seen/nowhere"), 2, "bad input", 333),
        (("deploy", "no-slash"), 2, "bad input", 351),
        (("promote", "production", "made"), 3, "refused", 206),
        (("sync", "seen/staging"), 2, "bad input", 351),
    ],
)
def test_an_error_has_the_exit_code_and_number_that_the_command_has_here(
    stage: Stage, words: tuple[str, ...], code: int, outcome: str, number: int
) -> None:
    got, out, err = stage.run(*words, "--json-lines")
    last = lines(out)[-1]
    assert (got, last["outcome"], last["number"]) == (code, outcome, number), err
    assert last["hint"]
    assert "Traceback" not in err


def test_a_failed_hook_is_exit_code_one_and_the_same_key_tries_it_again(stage: Stage) -> None:
    stage.home.push("broken", **{"migrate.py": "raise SystemExit('no such luck')\n"})
    words = ("deploy", "broken/master", "--json-lines", "--key", "k")
    code, out, _ = stage.run(*words)
    told = lines(out)
    assert (code, told[-1]["outcome"], told[-1]["number"]) == (1, "failure", 404)
    assert "no such luck" in [each.get("text") for each in told]
    assert [each["step"] for each in told if each["event"] == "failed"] == ["prepare the data"]
    again = lines(stage.run(*words)[1])
    assert again[-1]["number"] == 404
    assert len({each.flow_run_id for each in stage.activities("broken")}) == 2


def test_the_same_key_does_not_deploy_twice(stage: Stage) -> None:
    words = ("deploy", "same/master", "--force", "--json-lines", "--key", "pipeline-7")
    first, second = (lines(stage.run(*words)[1])[-1] for _ in range(2))
    assert first["outcome"] == "success"
    assert (second["run"], second["outcome"]) == (first["run"], "success")
    assert len(stage.activities("same")) == 1


def test_a_second_job_with_the_same_key_joins_the_run(stage: Stage) -> None:
    stage.home.push("joined", wait="8")
    words = ("deploy", "joined/master", "--json-lines", "--key", "k")
    first = stage.start(*words)
    run = stage.waits("joined")
    second = stage.start(*words)
    outs = [job.communicate(timeout=200)[0] for job in (first, second)]
    assert [lines(out)[-1]["run"] for out in outs] == [run, run]
    assert [job.returncode for job in (first, second)] == [0, 0]
    assert "switch" in [each.get("step") for each in lines(outs[1])]
    assert len(stage.activities("joined")) == 1


@pytest.mark.parametrize(
    ("project", "number", "code"),
    [("limited", signal.SIGALRM, 1), ("ended", signal.SIGTERM, 143)],
)
def test_the_time_limit_and_the_ci_systems_signal_cancel_the_run_and_wait_until_it_is_undone(
    stage: Stage, project: str, number: signal.Signals, code: int
) -> None:
    junit = stage.elsewhere / f"{project}.xml"
    words = ("deploy", f"{project}/master", "--json-lines", "--timeout", "1h", "--junit", str(junit))
    job = stage.start(*words)
    run = stage.waits(project)
    job.send_signal(number)  # SIGALRM is what comes when the hour is over
    last = lines(job.communicate(timeout=100)[0])[-1]
    assert (job.returncode, last["event"], last["exit_code"]) == (code, "ended", code)
    if number == signal.SIGALRM:
        assert (last["outcome"], last["number"]) == ("failure", 292)
        assert "ended as Cancelled" in last["message"]
    assert stage.server.ended(run, 0.1)["state_type"] == "CANCELLED"
    (activity,) = stage.activities(project)
    assert (activity.state, activity.committed_at) == ("cancelled", None)
    root = stage.home.root / "home/environments" / project
    assert [path for path in root.rglob("*") if path.is_file()] == []
    assert ET.parse(junit).getroot()[0].get("failures") == "1"


def test_a_release_is_pinned_once_for_a_key(stage: Stage) -> None:
    words = (
        "release",
        "timed",
        "staging",
        "--at",
        "2126-12-01 14:00 Europe/Berlin",
        "--json-lines",
        "--key",
        "k",
    )
    first, second = (lines(stage.run(*words)[1])[-1] for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("success", "success"), first["message"]
    (release,) = stage.home.platform.store.releases.list("timed")
    assert first["release"] == second["release"] == release.id


def test_prefects_own_command_watches_it_too(stage: Stage) -> None:
    done = subprocess.run(
        [*PREFECT, "deployment", "run", "deploy/deploy", "--param", "environment=watched/master", "--watch"],
        env=stage.server.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each.outcome for each in stage.activities("watched")] == ["success"]


def test_a_server_that_is_not_there_is_exit_code_four(stage: Stage) -> None:
    environment = os.environ | {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_CLIENT_MAX_RETRIES": "0",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("branchline")), "ci", "deploy", "seen/master", "--json-lines"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 4
    assert lines(done.stdout)[-1]["number"] == 350
