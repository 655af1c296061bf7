"""Every flow from a real Prefect server, on a real worker, in a real home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from branchline.domain.activity import Activity
from tests.server.prefect_server import Server, started, until
from tests.server.tiny import Home, deploy, made_home, promote

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

REF = r"^[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}$"
FLOWS = {
    "build": ("built", {"project": "built", "ref": "master"}, "build master of built"),
    "deploy": (
        "deployed",
        {"environment": "deployed/master", "ref": "master"},
        "deploy master to deployed/master",
    ),
    "rollback": ("rolled-back", {"environment": "rolled-back/master"}, "roll back rolled-back/master"),
    "promote-to-staging": ("staged", {"project": "staged"}, "promote staged to Staging"),
    "promote-to-production": ("released", {"project": "released"}, "promote released to Production"),
    "sync-data": ("synced", {"environment": "synced/staging"}, "refresh synced/staging with sanitized data"),
    "deactivate": ("retired", {"environment": "retired/master"}, "deactivate retired/master"),
}
"""By flow: the project that it is run on, its parameters, and the name of that run."""
WAITS = {project: f"86400.{uuid.uuid4().int % 10**9:09}" for project in ("cancelled", "killed")}
"""Projects whose next deploy stays in its deploy hook, and the mark by which a process of that hook is known."""


@dataclass(frozen=True)
class Stage:
    """The server, the home, and the runs that were started on it, by what they show."""

    server: Server
    home: Home
    doomed: psutil.Process
    """The worker that runs `killed`, and nothing else."""
    files: dict[str, set[str]]
    """What lay in the environments of `cancelled` and `killed` before."""
    runs: dict[str, str]

    def ended(self, run: str) -> dict[str, Any]:
        return self.server.ended(self.runs[run])

    def activity(self, run: str) -> Activity:
        """The one that the run left in Branchline's own state."""
        recent = self.home.platform.store.activities.recent(None, None, 1000)
        (found,) = [each for each in recent if each.flow_run_id == run]
        return found

    def in_its_hook(self, run: str) -> str:
        """The id of a run of `WAITS`, once its hook waits."""
        platform, flow_run = self.home.platform, self.runs[run]

        def waits() -> bool:
            recent = platform.store.activities.recent(run, "master", 10)
            logs = [platform.layout.log(each.id) for each in recent if each.flow_run_id == flow_run]
            return any(log.exists() and "the hook waits" in log.read_text() for log in logs)

        until(waits, 120, f"the hook of {run} waits")
        return flow_run

    def status(self) -> dict[str, dict[str, Any]]:
        """What the command says of every environment."""
        command = [str(Path(sys.executable).with_name("branchline")), "status", "--json"]
        done = subprocess.run(
            command, env=os.environ | self.home.environment, capture_output=True, check=True
        )
        return {row["environment"]: row for row in json.loads(done.stdout)["environments"]}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("stage")
    (root / "prefect").mkdir()
    with made_home(root) as home, started(root / "prefect", home.environment) as server:
        files = _prepare(home)
        server.wait_ready()
        server.prefect("work-pool", "create", "branchline", "--type", "process")
        server.register("--all")
        until(lambda: server.runs_of("recover", "SCHEDULED"), 30, "the scheduler makes runs of recover")
        server.pause_schedules("recover")
        server.start_worker("--work-queue", "default")
        doomed = server.start_worker("--work-queue", "doomed")
        runs = {flow: server.run(flow, **parameters) for flow, (_, parameters, _) in FLOWS.items()}
        runs["skipped"] = server.run("deploy", environment="idle/master")
        runs["refused"] = server.run("promote-to-production", project="idle")
        runs["unknown"] = server.run("deploy", environment="idle/nowhere")
        runs["dry run"] = server.run("deploy", environment="built/master", dry_run=True)
        runs["cancelled"] = server.run("deploy", environment="cancelled/master")
        runs["killed"] = server.run("deploy", environment="killed/master", queue="doomed")
        yield Stage(server, home, doomed, files, runs)


def _prepare(home: Home) -> dict[str, set[str]]:
    new = ("built", "deployed")
    running = ("rolled-back", "staged", "released", "synced", "retired", "idle", *WAITS)
    for project in (*new, *running):
        home.project(project)
    for project in running:
        deploy(f"{project}/master")
    for project in ("released", "synced"):
        promote("staging", project)
    promote("production", "synced")
    home.push("rolled-back", version="2\n")
    deploy("rolled-back/master")
    for project, seconds in WAITS.items():
        home.push(project, wait=seconds)
    return {project: home.files(project) for project in WAITS}


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_completes_and_leaves_its_activity_and_its_summary(stage: Stage, flow: str) -> None:
    project, _, name = FLOWS[flow]
    run = stage.ended(flow)
    assert (run["state_type"], run["name"]) == ("COMPLETED", name), run["state"]["message"]
    activity = stage.activity(run["id"])
    assert (activity.project, activity.outcome) == (project, "success")
    (summary,) = [each for each in stage.server.artifacts(run["id"]) if each["type"] == "markdown"]
    assert activity.id in summary["data"]


def test_a_sync_shows_how_far_it_is(stage: Stage) -> None:
    run = stage.ended("sync-data")
    (sight,) = [each for each in stage.server.artifacts(run["id"]) if each["type"] == "progress"]
    assert float(sight["data"]) == 100


def test_what_the_runs_did_is_what_branchline_shows(stage: Stage) -> None:
    for flow in FLOWS:
        stage.ended(flow)
    status = stage.status()
    assert status["deployed/master"]["status"] == "active"
    assert status["built/master"]["status"] == "inactive"
    assert status["retired/master"]["status"] == "inactive"
    assert status["staged/staging"]["artifact"] == status["staged/master"]["artifact"]
    assert status["released/production"]["artifact"] == status["released/master"]["artifact"]
    assert "sanitized" in status["synced/staging"]["data"]
    newest, before = (
        status["rolled-back/master"]["deployments"][0],
        status["rolled-back/master"]["deployments"][-1],
    )
    assert newest["kind"] == "rollback"
    assert newest["artifact"] == before["artifact"] == status["rolled-back/master"]["artifact"]


def test_what_a_hook_prints_and_each_step_did_is_in_the_runs_log(stage: Stage) -> None:
    run = stage.ended("deploy")["id"]
    log = stage.server.log_with(run, "success")
    assert "customers: 1" in log
    assert any(line.startswith("switch: deployed/master runs ") for line in log)


def test_a_deploy_of_what_runs_already_completes_and_says_so(stage: Stage) -> None:
    run = stage.ended("skipped")
    assert (run["state_type"], run["name"]) == ("COMPLETED", "deploy idle/master")
    assert stage.activity(run["id"]).outcome == "skipped"
    stage.server.log_with(run["id"], "skipped: idle/master runs artifact")


@pytest.mark.parametrize(
    ("run", "number", "words"),
    [
        ("refused", "[B206]", "nothing is deployed on idle/staging"),
        ("unknown", "[B333]", "no environment 'nowhere'"),
    ],
)
def test_a_refusal_fails_the_run_with_the_commands_own_words(
    stage: Stage, run: str, number: str, words: str
) -> None:
    flow_run = stage.ended(run)
    message = flow_run["state"]["message"]
    assert flow_run["state_type"] == "FAILED"
    assert number in message
    assert words in message
    assert "\n  next: " in message
    log = stage.server.log_with(flow_run["id"], "type=FAILED)")
    assert log.count(message) == 1
    assert not [line for line in log if "Traceback" in line]


def test_a_dry_run_leaves_its_plan_and_changes_nothing(stage: Stage) -> None:
    run = stage.ended("dry run")
    assert (run["state_type"], run["name"]) == ("COMPLETED", "dry run: deploy built/master")
    (artifact,) = stage.server.artifacts(run["id"])
    assert "| would run | " in artifact["data"]
    assert stage.home.platform.store.environments.get("built", "master").deployment_id is None


@pytest.mark.parametrize(
    ("flow", "parameters"),
    [
        ("deploy", {"environment": "no-slash"}),
        ("deploy", {"environment": "idle/master", "ref": "--upload-pack=x"}),
        ("deploy", {"environment": "idle/master", "force": "perhaps"}),
        ("deploy", {}),
        ("build", {"project": "../../etc", "ref": "master"}),
    ],
)
def test_input_that_the_form_does_not_allow_is_refused_by_the_server(
    stage: Stage, flow: str, parameters: dict[str, Any]
) -> None:
    assert stage.server.create(flow, parameters).status_code == 409


@pytest.mark.parametrize("flow", [*FLOWS, "recover"])
def test_a_flows_form_explains_every_field_and_asks_for_no_secret(stage: Stage, flow: str) -> None:
    deployment = stage.server.deployment(flow)
    assert deployment["enforce_parameter_schema"]
    assert deployment["description"]
    assert "branchline" in deployment["tags"]
    fields = deployment["parameter_openapi_schema"]["properties"]
    for name, field in fields.items():
        assert field.get("description"), name
        assert field.get("format") != "password", name
        assert not {"password", "secret", "token", "key"} & set(name.split("_")), name
    for name in ("environment", "project"):
        if name in fields:
            assert fields[name]["pattern"].startswith("^[a-z0-9]")
            assert name in deployment["parameter_openapi_schema"]["required"]
    for name in ("force", "wait", "dry_run", "discard_writes"):
        if name in fields:
            assert (fields[name]["type"], fields[name]["default"]) == ("boolean", False)


@pytest.mark.parametrize(("flow", "field"), [("deploy", "ref"), ("sync-data", "policy_ref")])
def test_a_ref_that_may_be_left_out_has_its_pattern_and_no_default(
    stage: Stage, flow: str, field: str
) -> None:
    schema = stage.server.deployment(flow)["parameter_openapi_schema"]["properties"][field]
    assert schema["default"] is None
    assert [each.get("pattern") for each in schema["anyOf"]] == [REF, None]


def test_a_schedule_that_somebody_paused_stays_paused_when_the_flow_is_registered_again(stage: Stage) -> None:
    stage.server.register("--name", "recover")
    (schedule,) = stage.server.deployment("recover")["schedules"]
    assert (schedule["schedule"]["interval"], schedule["active"]) == (300, False)


def test_a_deploy_cancelled_in_its_hook_is_undone_at_once(stage: Stage) -> None:
    run = stage.in_its_hook("cancelled")
    assert stage.home.files("cancelled") > stage.files["cancelled"]
    stage.server.cancel(run)
    assert stage.server.ended(run, 30)["state_type"] == "CANCELLED"
    activity = stage.activity(run)
    assert (activity.state, activity.committed_at) == ("cancelled", None)
    _assert_nothing_left(stage, "cancelled")


def test_a_deploy_killed_with_its_worker_is_ended_by_recovery_on_another(stage: Stage) -> None:
    run = stage.in_its_hook("killed")
    (lease,) = stage.home.platform.store.leases.held(stage.activity(run).id)
    stage.doomed.kill()
    psutil.Process(lease.holder.pid).kill()
    recovery = stage.server.ended(stage.server.run("recover"))
    assert recovery["state_type"] == "COMPLETED"
    activity = stage.activity(run)
    assert (
        activity.reason
        == "nothing changed: its process ended before the switch; what it had made was removed"
    )
    (artifact,) = stage.server.artifacts(recovery["id"])
    assert activity.id in artifact["data"]
    _assert_nothing_left(stage, "killed")


def _assert_nothing_left(stage: Stage, project: str) -> None:
    assert stage.home.files(project) == stage.files[project]
    assert not stage.home.platform.store.leases.held(stage.activity(stage.runs[project]).id)
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if WAITS[project] in (each.info["cmdline"] or [])
    ]
