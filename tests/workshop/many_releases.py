"""Many releases that are due at the same moment, several processes that run them, and one of these killed on the way.

Run as a module it is such a process: it ends what dead ones left behind, then runs what is due on one environment after
the other, as a worker does that is given a run for each.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from branchline.domain.release import NewRelease, Release
from branchline.launch import run_flow
from branchline.platform import Platform
from branchline.steps.projects import init_project
from branchline.steps.promote import environment_at
from branchline.wiring import open_platform
from tests.workshop.home import CHECKOUT, QUIET_GIT, Home

BEFORE_THE_KILL = 4
"""A runner is killed when one in so many releases has ended."""
LIMIT_SECONDS = 1800.0


@dataclass(frozen=True)
class Many:
    """So many projects, each with so many artifacts that ran on master; all are released to Staging at one moment."""

    home: Home
    projects: int
    each: int

    def prepare(self) -> None:
        """Takes most of the time: every artifact is deployed to every master."""
        self.home.make({"sandbox": "none"})
        due = datetime.now(UTC).replace(second=0, microsecond=0)
        for version in range(1, self.each + 1):
            self.home.commit(_application(version))
            with self.home.opened() as platform:
                for number in range(self.projects):
                    self._release(platform, f"shop{number}", due, first=version == 1)

    def run(self, runners: int) -> float:
        """The seconds until all have ended, with one runner killed in the middle of an operation, another in its place."""
        began = time.monotonic()
        with self.home.opened() as platform, ExitStack() as stack:
            started = {each.pid: each for each in (stack.enter_context(_runner(i)) for i in range(runners))}
            _until(lambda: len(_ended(platform)) * BEFORE_THE_KILL >= self.projects * self.each)
            _until(lambda: _killed_at_work(platform, started))
            stack.enter_context(_runner(runners))
        return time.monotonic() - began

    def problems(self) -> Iterator[str]:
        """Releases that are lost, ran twice, or out of turn."""
        with self.home.opened() as platform:
            succeeded = Counter(
                str(each.parameters["release"])
                for each in platform.store.activities.recent(limit=100_000)
                if each.kind == "release" and each.result == "success"
            )
            for number in range(self.projects):
                path = f"shop{number}/staging"
                releases = platform.store.releases.list(f"shop{number}")
                if len(releases) != self.each:
                    yield f"{path}: {len(releases)} releases"
                for each in releases:
                    if (each.state, succeeded[each.id]) != ("done", 1):
                        yield f"{path}: {each.id} is {each.state}, and ran {succeeded[each.id]} times: {each.reason}"
                in_turn = [each.digest for each in sorted(releases, key=lambda each: each.seq)]
                deployed = platform.store.deployments.of(environment_at(platform, path))
                if [each.digest for each in reversed(deployed)] != in_turn:
                    yield f"{path}: they did not run in their order"
            yield from (f"unended: {each.sentence}" for each in platform.store.activities.unended())

    def _release(self, platform: Platform, project: str, due: datetime, *, first: bool) -> None:
        checkout = self.home.path / "checkout"
        if first:
            init_project(platform, project, "pro", str(checkout))
        else:
            bare = platform.layout.repository(project)
            fetch = ["git", "fetch", "-q", str(checkout), "master:master"]  # a push would ask the hooks
            subprocess.run(fetch, cwd=bare, env={**os.environ, **QUIET_GIT}, check=True)
        run_flow("deploy_environment", {"environment": f"{project}/master"})
        source, target = (environment_at(platform, f"{project}/{each}") for each in ("master", "staging"))
        running = platform.current(source)
        new = NewRelease(
            kind="promotion",
            environment_id=target.id,
            source_id=source.id,
            digest=running.digest,
            commit=running.commit,
            due_at=due,
            zone="UTC",
            latest_start_at=due + timedelta(days=1),
            late="ask",
            author="ann",
        )
        platform.store.releases.create(new, due)


def main(number: int) -> None:
    """Each begins with another environment, so that they are not in each other's way."""
    platform = open_platform()
    platform.operations.recover()
    while due := sorted({each.environment for each in platform.store.releases.due(platform.clock())}):
        begin = number * len(due) // 4 % len(due)
        run_flow("run_release", {"environment": due[begin]})


def _application(version: int) -> Mapping[str, str]:
    return {"VERSION": f"{version}\n", ".branchline/app.yaml": "name: tiny\ntype: python:3.11\n"}


@contextmanager
def _runner(number: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Waited for at the end."""
    command = [sys.executable, "-m", "tests.workshop.many_releases", str(number)]
    environ = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}"}
    with subprocess.Popen(command, cwd=CHECKOUT, env=environ) as process:
        yield process
    assert process.returncode in (0, -signal.SIGKILL), f"runner {number} ended with {process.returncode}"


def _killed_at_work(platform: Platform, runners: Mapping[int, "subprocess.Popen[bytes]"]) -> bool:
    """Stopped first, so that it cannot come to an end between the look and the kill."""
    for lease in platform.store.leases.held():
        process = runners.get(lease.holder.pid)
        if process is None:
            continue
        process.send_signal(signal.SIGSTOP)
        if any(each.activity_id == lease.activity_id for each in platform.store.leases.held()):
            process.kill()
            return True
        process.send_signal(signal.SIGCONT)
    return False


def _ended(platform: Platform) -> Sequence[Release]:
    return platform.store.releases.list(states=("done", "failed", "skipped"))


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]))
