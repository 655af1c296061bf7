"""The bounds of pyproject.toml hold what they are there for: Prefect's server works, and so does its scheduler.

With fastapi 0.155 the server of prefect 3.8.8 does not import; with sqlalchemy 2.1 its scheduler creates no run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 50.0
BUSY = 503
POLL = threading.Event()
"""Never set: waiting for it is a pause between two looks at a condition."""


def test_the_servers_application_imports():
    done = subprocess.run(
        [sys.executable, "-c", "from prefect.server.api.server import create_app; create_app"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("told", "threads"), [({}, "1"), ({"POLARS_MAX_THREADS": "2"}, "2")])
def test_polars_works_in_the_thread_that_asks_unless_the_environment_says_otherwise(
    told: dict[str, str], threads: str
) -> None:
    asking = "import branchline.sanitize.pipeline, polars; print(polars.thread_pool_size())"
    others = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", asking], capture_output=True, text=True, check=True, env=others | told
    )
    assert done.stdout.strip() == threads


def test_bounds_that_guard_a_known_fault_are_there_with_their_reason():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for bound in ('"fastapi>=', '"prefect==', '"sqlalchemy[asyncio]>='):
        line = next(each for each in lines if bound in each)
        assert ",<" in line or "==" in line
        assert "#" in line, line


def test_only_a_sync_pays_for_what_only_a_sync_needs():
    ways_in = [
        "branchline.cli",
        "branchline.wiring",
        *(f"flows.{each.stem}" for each in (ROOT / "flows").glob("*.py")),
    ]
    slow = {"polars", "numpy", "faker", "psycopg", "pymysql", "alembic"}
    code = f"import sys, {', '.join(ways_in)}; print(*({slow} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.server
def test_a_scheduled_deployment_creates_a_run(server):
    flow = ask(f"{server}/flows/", {"name": "guarded"})
    deployment = ask(
        f"{server}/deployments/",
        {
            "name": "every-minute",
            "flow_id": flow["id"],
            "schedules": [{"schedule": {"interval": 60}, "active": True}],
        },
    )
    runs = until(
        lambda: _ask(f"{server}/flow_runs/filter", {"deployments": {"id": {"any_": [deployment["id"]]}}})
    )
    assert {run["state_type"] for run in runs} == {"SCHEDULED"}
    assert all(run["auto_scheduled"] for run in runs)


@pytest.fixture
def server(tmp_path):
    """The URL of a Prefect server of this test's own, ended with it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env={
                **clean,
                "PREFECT_HOME": str(tmp_path / "prefect"),
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
                "DO_NOT_TRACK": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        until(lambda: answers(f"{url}/health") or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        end(process)


def answers(url):
    try:
        return _ask(url, None)
    except OSError:
        return None


def ask(url, body):
    """The answer; asked again while the server says that its database is busy, as Prefect's own client does."""
    return until(lambda: _ask(url, body))


def _ask(url, body):
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == BUSY:
            return None
        raise AssertionError(f"{url}: {error.code} {error.read()[:2000]!r}") from error


def until(condition):
    """What the condition gives as soon as it is true; fails when it never is."""
    for _ in range(int(SECONDS / 0.1)):
        found = condition()
        if found:
            return found
        POLL.wait(0.1)
    raise AssertionError(f"not true within {SECONDS:g} s")


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
