"""Whatever dies while a deploy runs, its environment serves, its activity ends, and Prefect shows the run as ended."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import psutil
import pytest
from prefect.states import Crashed, Pending, Running

from branchline.launch.duties.sweep import sweep
from tests.server.prefect_server import until
from tests.server.upped import Upped

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

UNDONE = "nothing changed: its process ended before the switch; what it had made was removed"


def test_a_worker_killed_with_its_run_leaves_nothing_and_the_next_deploy_works(up: Upped) -> None:
    before = up.project("killed")
    run = up.deploy("killed")
    worker, flow = up.child("worker"), up.holder(run)
    worker.kill()
    flow.kill()
    until(lambda: not psutil.pid_exists(flow.pid), 30, "the run's process is gone")
    up.sweep()
    assert up.ended(run) == "Crashed"
    assert up.activity(run).reason == UNDONE
    assert (up.current("killed"), up.left("killed")) == (before, [])
    up.release("killed")
    assert up.ended(up.start("killed")) == "Completed"
    assert up.current("killed") != before


def test_a_worker_that_is_told_to_stop_kills_its_run_and_the_sweep_ends_it(up: Upped) -> None:
    before = up.project("stopped")
    run = up.deploy("stopped")
    worker, flow = up.child("worker"), up.holder(run)
    worker.terminate()
    until(lambda: not flow.is_running() or flow.status() == psutil.STATUS_ZOMBIE, 60, "the run is killed")
    up.sweep()
    assert up.ended(run) == "Crashed"
    assert up.activity(run).reason == UNDONE
    assert (up.current("stopped"), up.left("stopped")) == (before, [])


def test_a_run_whose_worker_died_goes_on_and_is_undone_when_it_is_cancelled(up: Upped) -> None:
    before = up.project("orphaned")
    run = up.deploy("orphaned")
    up.child("worker").kill()
    up.server.cancel(run)
    assert up.server.state(run).type == "CANCELLING"
    up.sweep()
    assert up.ended(run) == "Cancelled"
    activity = up.activity(run)
    assert (activity.state, activity.committed_at) == ("cancelled", None)
    assert (up.current("orphaned"), up.left("orphaned")) == (before, [])


def test_a_deploy_goes_on_while_the_server_is_started_again(up: Upped) -> None:
    before = up.project("restarted")
    run = up.deploy("restarted")
    up.child("server").kill()
    until(lambda: not up.server.alive(), 30, "the server is away")
    until(up.server.alive, 90, "the server is back")
    up.release("restarted")
    assert up.ended(run) == "Completed"
    assert up.current("restarted") != before
    assert up.left("restarted") == []


def test_a_run_that_is_cancelled_is_undone_by_its_own_process(up: Upped) -> None:
    before = up.project("cancelled")
    run = up.deploy("cancelled")
    up.server.cancel(run)
    assert up.ended(run, 45) == "Cancelled"
    activity = up.activity(run)
    assert (activity.state, activity.committed_at) == ("cancelled", None)
    assert (up.current("cancelled"), up.left("cancelled")) == (before, [])


def test_a_run_marked_crashed_while_it_lives_keeps_others_out_and_comes_to_one_end(up: Upped) -> None:
    before = up.project("marked")
    run = up.deploy("marked")
    up.server.api.set_flow_run_state(UUID(run), Crashed(message="by hand"), force=True)
    up.sweep()
    second = up.start("marked")
    assert up.ended(second) == "Unavailable"
    assert "busy" in up.server.state(second).message
    assert up.holder(run).is_running()
    up.release("marked")
    until(lambda: up.activity(run).ended_at, 120, "the first deploy ends")
    assert up.activity(run).outcome == "success"
    until(lambda: not up.left("marked"), 60, "nothing of it is left")
    assert up.current("marked") != before


def test_a_sweep_leaves_alone_what_lives(up: Upped) -> None:
    up.project("alive")
    run = up.deploy("alive")
    up.sweep()
    assert up.server.state(run).type == "RUNNING"
    os.kill(up.child("dispatcher").pid, signal.SIGKILL)
    up.release("alive")
    assert up.ended(run) == "Completed"
    assert up.child("dispatcher").is_running()


def test_runs_whose_process_died_before_it_was_recorded_are_closed_on_their_own_host(up: Upped) -> None:
    with up.home.opened() as platform:
        here = platform.operations.processes.this().host
        api, far = up.server.api, platform.clock() + timedelta(days=1)
        runs = {}
        for name, host, pid in (
            ("gone", here, "4194304"),
            ("never began", here, None),
            ("away", "away", "4194304"),
        ):
            run = up.server.start("deploy/deploy", {"environment": "store/master"}, at=far, name=name)
            state = Pending() if pid is None else Running()
            api.set_flow_run_state(UUID(run), state, force=True)
            api.update_flow_run_labels(UUID(run), {"prefect.worker.name": host})
            if pid is not None:
                api.update_flow_run(UUID(run), infrastructure_pid=pid)
            runs[name] = run
        sweep(replace(platform, clock=lambda: platform.clock() + timedelta(minutes=10)), up.server)
    assert {name: up.server.state(run).type for name, run in runs.items()} == {
        "gone": "CRASHED",
        "never began": "CRASHED",
        "away": "RUNNING",
    }
