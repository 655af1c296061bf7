"""Pushing with real Git into a home, and a dispatcher without a Prefect server: runs are flows of this process."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from branchline.domain.push import Push
from branchline.errors import BranchlineError, Unavailable
from branchline.launch import run_flow
from branchline.launch.duties import push_care, pushes
from branchline.launch.server import RunState
from branchline.platform import Platform
from branchline.push_outbox import DISPATCHER
from tests.workshop.home import PROJECT, QUIET_GIT, Home


@dataclass(frozen=True)
class Pushed:
    accepted: bool
    said: str


def command(home: Home, *what: str) -> list[str]:
    options = [word for word in what if word.startswith("-")]
    refs = [word for word in what if not word.startswith("-")]
    return ["git", "push", *options, str(home.path / f"home/repositories/{PROJECT}.git"), *refs]


def of_a_pusher(**environ: str) -> dict[str, str]:
    """Somebody who knows nothing of Branchline."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith(("BRANCHLINE_", "PREFECT_"))
    }
    return {**ours, **QUIET_GIT, **environ}


def push(home: Home, *what: str, **environ: str) -> Pushed:
    """`git push` of these refs and options, to its end."""
    done = subprocess.run(
        command(home, *what),
        cwd=home.path / "checkout",
        env=of_a_pusher(**environ),
        capture_output=True,
        text=True,
        check=False,
    )
    return Pushed(done.returncode == 0, done.stderr)


@dataclass
class FakeServer:
    """What is started on it runs when `work` is called. Asked twice with one key, it gives the same run."""

    away: bool = False
    runs: dict[str, str] = field(default_factory=dict)
    """By key."""
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    states: dict[str, RunState] = field(default_factory=dict)
    production: list[str] = field(default_factory=list)
    place: str = "http://harbour.test/api"

    def start(
        self, deployment: str, parameters: Mapping[str, Any], *, key: str, production: bool = False
    ) -> str:
        assert deployment == "push/push"
        if self.away:
            raise Unavailable(350, "The Prefect server does not answer.", "branchline up")
        if key not in self.runs:
            run = self.runs[key] = f"run {len(self.runs) + 1}"
            self.parameters[run] = parameters
            self.states[run] = RunState("SCHEDULED", "Scheduled", "")
            self.production += [run] if production else []
        return self.runs[key]

    def state(self, run: str) -> RunState:
        return self.states[run]

    def waiting(self) -> list[str]:
        return [run for run, state in self.states.items() if state.type == "SCHEDULED"]

    def ends(self, run: str, type_: str, message: str = "") -> None:
        """As if its process had ended so."""
        self.states[run] = RunState(type_, type_.capitalize(), message)

    def work(self) -> None:
        """Runs all that waits, one after the other, as a worker's processes do."""
        while runs := self.waiting():
            self.run(runs[0])

    def run(self, run: str) -> None:
        try:
            run_flow("deploy_push", dict(self.parameters[run]))
        except BranchlineError as error:
            self.ends(run, "FAILED", str(error))
        else:
            self.ends(run, "COMPLETED")


def dispatch(platform: Platform, server: FakeServer) -> None:
    """Until nothing waits that can go on."""
    pushes.run(platform, server)  # type: ignore[arg-type]
    while server.waiting():
        server.work()
        pushes.run(platform, server)  # type: ignore[arg-type]


def care(platform: Platform, server: FakeServer, at: datetime | None = None) -> None:
    """One look after what went astray."""
    push_care.run(replace(platform, clock=lambda: at) if at else platform, server)  # type: ignore[arg-type]


def is_up(platform: Platform, **detail: Any) -> None:
    """As hooks see it when all is well; or with this."""
    running, holder = platform.store.running, platform.operations.processes.this()
    told = {"reachable": True, "workers": ["harbour"], "failing": {}, **detail}
    now = platform.clock()
    assert running.beat(DISPATCHER, holder, now, told) or running.take(
        DISPATCHER, holder, now, told, instead_of=running.last(DISPATCHER)
    )


def in_words(found: Sequence[Push]) -> list[str]:
    """Branch, state and reason of each."""
    return [f"{each.branch}: {each.state}" + (f": {each.reason}" if each.reason else "") for each in found]
