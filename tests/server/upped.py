"""`branchline up` of a home, from nothing, as a person starts it; and deploys that wait in their hook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from branchline.domain.activity import Activity
from branchline.launch.duties.sweep import sweep
from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.projects import init_project
from branchline.steps.promote import environment_at
from branchline.steps.upkeep import Swept
from tests.server.prefect_server import free_port, until
from tests.workshop.application import application
from tests.workshop.home import CHECKOUT, Home
from tests.workshop.litter import version_served

WAITS = """\
python3 -SI migrate.py
[ ! -e media/wait ] || echo the hook waits
while [ -e media/wait ]; do sleep 0.1; done
"""


@dataclass
class Upped:
    """The command, what it said, and the server it keeps."""

    home: Home
    process: psutil.Popen
    said: dict[str, Any]
    seconds: float

    @property
    def server(self) -> Server:
        return Server(self.said["api"])

    def child(self, name: str) -> psutil.Process:
        """The server, the worker or the dispatcher."""

        def found() -> psutil.Process | None:
            for each in psutil.Process(self.process.pid).children():
                words = each.cmdline()
                if name in words and words[1:2] == ["-m"]:
                    return each
            return None

        return until(found, 60, f"the {name} runs")

    def family(self) -> list[psutil.Process]:
        """It, and all that it started."""
        this = psutil.Process(self.process.pid)
        return [this, *this.children(recursive=True)]

    def project(self, name: str) -> str:
        """Its master runs; the id of that deployment. Its next deploys wait in their hook."""
        self.home.commit(application(1, deploy=WAITS))
        with self.home.opened() as platform:
            init_project(platform, name, "pro", str(self.home.path / "checkout"))
        self.home.run("deploy_environment", environment=f"{name}/master")
        self._wait_file(name).touch()
        return self.current(name)

    def deploy(self, project: str) -> str:
        """Starts it on the server; the id of the run, once its hook waits."""
        run = self.start(project)

        def waits() -> bool:
            with self.home.opened() as platform:
                logs = [platform.layout.log(each.id) for each in self._activities(platform, run)]
                return any(log.exists() and "the hook waits" in log.read_text() for log in logs)

        until(waits, 120, f"the hook of {project} waits")
        return run

    def start(self, project: str) -> str:
        return self.server.start("deploy/deploy", {"environment": f"{project}/master", "force": True})

    def release(self, project: str) -> None:
        """Hooks of this project wait no more."""
        self._wait_file(project).unlink()

    def _wait_file(self, project: str) -> Path:
        with self.home.opened() as platform:
            environment = environment_at(platform, f"{project}/master")
            (version,) = [
                each for each in platform.store.deployments.versions(environment) if each.kind == "mount"
            ]
            return platform.layout.mount(environment, version) / "wait"

    def activity(self, run: str) -> Activity:
        with self.home.opened() as platform:
            (found,) = self._activities(platform, run)
            return found

    def holder(self, run: str) -> psutil.Process:
        """The process that runs it."""
        with self.home.opened() as platform:
            (found,) = [each for each in platform.store.running.flow_runs() if each.id == run]
            return psutil.Process(found.holder.pid)

    def sweep(self) -> Swept:
        with self.home.opened() as platform:
            return sweep(platform, self.server)

    def ended(self, run: str, seconds: float = 240) -> str:
        """Its state's name, once it has ended."""

        def found() -> str | None:
            state = self.server.state(run)
            return state.name if state.ended else None

        return until(found, seconds, f"run {run} ends")

    def current(self, project: str) -> str:
        """The deployment that serves, as the row and the link to it say."""
        with self.home.opened() as platform:
            environment = environment_at(platform, f"{project}/master")
            assert version_served(platform, f"{project}/master") == "1"
            assert platform.layout.current(environment).readlink().name == environment.deployment_id
            return str(environment.deployment_id)

    def left(self, project: str) -> list[str]:
        """Leases, operations and processes that nobody ended."""
        with self.home.opened() as platform:
            leases = [each.resource for each in platform.store.leases.held()]
            open_ones = [each.sentence for each in platform.store.activities.unended()]
            recorded = [each.id for each in platform.store.running.flow_runs()]
        return [each for each in (*leases, *open_ones) if f"{project}/master" in each] + recorded

    def stop(self) -> float:
        """As `branchline down` does; how long it took."""
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "branchline", "down"],
            env={**os.environ, **environment(self.home)},
            check=True,
        )
        return time.monotonic() - began

    @staticmethod
    def _activities(platform: Platform, run: str) -> list[Activity]:
        return [each for each in platform.store.activities.recent(limit=100) if each.flow_run_id == run]


@dataclass
class Keeper:
    """Of one home, and at most one `branchline up` of it."""

    home: Home
    stack: ExitStack
    now: Upped | None = None

    def running(self) -> Upped:
        if self.now is None or not self.now.process.is_running():
            self.stack.close()
            self.now = self.stack.enter_context(upped(self.home))
        return self.now


def environment(home: Home) -> dict[str, str]:
    """What a person has, who knows no Prefect."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "BRANCHLINE_"))
    }
    return {**kept, **home.environ, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}


@contextmanager
def upped(home: Home, **environ: str) -> Iterator[Upped]:
    """Nothing of it is left afterwards. `environ`: what whoever starts it has besides."""
    began = time.monotonic()
    errors = home.path / "up.out"
    with errors.open("wb") as out:
        process = psutil.Popen(
            [sys.executable, "-m", "branchline", "up", "--json", "--port", str(free_port())],
            env={**environment(home), **environ},
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            start_new_session=True,
        )
    try:
        said = _first_json(process)
        yield Upped(home, process, said, time.monotonic() - began)
    except BaseException:
        print(errors.read_text())
        for log in sorted((home.path / "home/prefect").glob("*.log")):
            print(f"== {log.name}\n{log.read_text()[-3000:]}")
        raise
    finally:
        _end(process)


def _first_json(process: psutil.Popen) -> dict[str, Any]:
    lines: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(180), "up is not ready"
    assert lines, "up has ended"
    said: dict[str, Any] = json.loads("".join(lines))
    return said


def _end(process: psutil.Popen) -> None:
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()
