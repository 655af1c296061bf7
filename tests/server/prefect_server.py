"""A real Prefect server with a process pool, and workers of it, as deployments/README.md starts them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from branchline.wiring import CHECKOUT

Found = TypeVar("Found")
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PREFECT = [sys.executable, "-m", "prefect"]


class Server:
    """Its API, and the processes around it."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._directory = directory
        self._port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._api = api(f"http://127.0.0.1:{self._port}/api")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            **environment,
            "BRANCHLINE_CHECKOUT": str(CHECKOUT),
            "PREFECT_HOME": str(directory),
            "PREFECT_API_URL": str(self._api.base_url).rstrip("/"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            # its SQLite has one writer at a time, and nothing here reads events
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
        }

    def start(self) -> None:
        """Returns at once; see `wait_ready`."""
        self._popen("server", "server", "start", "--host", "127.0.0.1", "--port", str(self._port))

    def wait_ready(self) -> None:
        def healthy() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return self._api.get("/health").status_code == 200
            return False

        until(healthy, 90, "the server answers")

    def prefect(self, *arguments: str) -> None:
        """Runs a `prefect` command to its end."""
        done = subprocess.run(
            [*PREFECT, *arguments],
            cwd=CHECKOUT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def register(self, *arguments: str) -> None:
        self.prefect("--no-prompt", "deploy", *arguments, "--prefect-file", "deployments/prefect.yaml")

    def start_worker(self, *arguments: str) -> psutil.Process:
        process = self._popen("worker", "worker", "start", "--pool", "branchline", "--limit", "3", *arguments)
        return psutil.Process(process.pid)

    def deployment(self, flow: str, name: str = "") -> dict[str, Any]:
        return self._ok("GET", f"/deployments/name/{flow}/{name or flow}")

    def create(
        self, flow: str, parameters: dict[str, Any], queue: str = "default", **options: Any
    ) -> httpx.Response:
        """As the form's Submit does; `options` are the switches below its fields."""
        path = f"/deployments/{self.deployment(flow)['id']}/create_flow_run"
        wanted = {"parameters": parameters, "work_queue_name": queue, **options}
        return self._api.post(path, json=wanted)

    def run(self, flow: str, *, queue: str = "default", **parameters: Any) -> str:
        """Starts a run; its id."""
        response = self.create(flow, parameters, queue)
        assert response.is_success, response.text
        run: str = response.json()["id"]
        return run

    def cancel(self, run: str) -> None:
        """As the button in the UI does."""
        self._ok("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

    def ended(self, run: str, seconds: float = 240) -> dict[str, Any]:
        """The run, once it has ended."""

        def found() -> dict[str, Any] | None:
            flow_run = self._ok("GET", f"/flow_runs/{run}")
            return flow_run if flow_run["state_type"] in ENDED else None

        return until(found, seconds, f"run {run} ends")

    def log_with(self, run: str, text: str) -> list[str]:
        """The run's log, once a line of it holds this: lines are sent every two seconds."""

        def found() -> list[str] | None:
            lines = self._ok("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
            return (
                [line["message"] for line in lines]
                if any(text in line["message"] for line in lines)
                else None
            )

        return until(found, 30, f"the log of run {run} says {text!r}")

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """Of a run, each once: what a locked SQLite answered with 503 after it was written, Prefect's client has said again."""
        found = self._ok("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return list({(each["type"], each["key"], str(each["data"])): each for each in found}.values())

    def runs_of(self, flow: str, *states: str) -> list[dict[str, Any]]:
        """Those in one of the states, or all."""
        wanted: dict[str, Any] = {"flows": {"name": {"any_": [flow]}}}
        if states:
            wanted["flow_runs"] = {"state": {"type": {"any_": states}}}
        return self._ok("POST", "/flow_runs/filter", wanted)

    def pause_schedules(self, flow: str) -> None:
        deployment = self.deployment(flow)
        for schedule in deployment["schedules"]:
            self._ok(
                "PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False}
            )

    def stop(self) -> None:
        """Ends everything that was started, and what that started."""
        family = []
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                family += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in reversed(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        for process in self._processes:
            process.wait()
        self._api.close()

    def output(self) -> str:
        """What the server and its workers printed."""
        return "\n".join(
            f"== {file.name}\n{file.read_text()}" for file in sorted(self._directory.glob("*.out"))
        )

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._directory / f"{name}{len(self._processes)}.out").open("wb") as out:
            process = subprocess.Popen(
                [*PREFECT, *arguments],
                cwd=self._directory,
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # whoever starts the tests with `&` has SIGINT ignored, and a worker stops by it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            )
        self._processes.append(process)
        return process

    def _ok(self, method: str, path: str, json: Any = None) -> Any:
        response = self._api.request(method, path, json=json)
        assert response.is_success, response.text
        return response.json() if response.content else None


class _Patient(httpx.HTTPTransport):
    """503 is the server's way to say that its SQLite was locked; Prefect's own client repeats then too."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        def answered() -> httpx.Response | None:
            response = super(_Patient, self).handle_request(request)
            if response.status_code != 503:
                return response
            response.close()
            return None

        return until(answered, 120, f"{request.method} {request.url.path} is answered")


def api(url: str) -> httpx.Client:
    """A client of a Prefect server's API."""
    return httpx.Client(base_url=url, timeout=90, transport=_Patient())


@contextlib.contextmanager
def started(directory: Path, environment: dict[str, str]) -> Iterator[Server]:
    """A server that is about to be ready; all of it is ended afterwards."""
    server = Server(directory, environment)
    try:
        server.start()
        yield server
    except BaseException:
        print(server.output())
        raise
    finally:
        server.stop()


def until(condition: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """The first thing that the condition gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found is not None and found is not False:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
