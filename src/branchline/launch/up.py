"""`branchline up`: the Prefect server, the worker and the dispatcher of one machine, kept running until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from branchline.errors import BranchlineError, Failed, Refused, Unavailable
from branchline.launch import surroundings
from branchline.launch.children import Child
from branchline.launch.drain import Say, drain
from branchline.launch.duties.sweep import sweep
from branchline.launch.record import Record, held
from branchline.launch.registration import load_flows, prepare_pool, register
from branchline.launch.server import POOL, Server
from branchline.launch.surroundings import Place
from branchline.platform import Platform
from branchline.wiring import open_platform

READY_SECONDS = 180.0
"""For the server to answer the first time; with a new database it takes ten."""
LOOK_SECONDS = 0.5

_PREFECT = (sys.executable, "-m", "prefect")


@dataclass(frozen=True, slots=True)
class Ready:
    """What people want to know once it is up."""

    ui: str
    api: str
    seconds: float
    projects: Sequence[tuple[str, Path]]
    """The name and the repository of each: where to push to."""


class Up:
    """`stop` ends it, `hurry` ends the waiting for runs under way."""

    def __init__(self, place: Place, worker_limit: int, say: Say) -> None:
        self._place = place
        self._limit = worker_limit
        self._say = say
        self.stop, self.hurry = Event(), Event()
        self._children: list[Child] = []

    def run(self, ready: Callable[[Ready], None]) -> None:
        """Until it is told to stop; calls `ready` once everything runs.

        Raises Refused: 353 when this home is up already, 355 when the port is taken, 356 for an address that others reach;
        Unavailable (350) when the server to join does not answer; Failed (354) when one of its processes cannot be kept.
        """
        began = time.monotonic()
        platform = open_platform()
        joined = os.environ.get("PREFECT_API_URL")
        if joined:
            environment = surroundings.of_joined_server(os.environ)
            server = Server(joined)
        else:
            environment = surroundings.of_own_server(self._place, platform.layout.prefect, os.environ)
            server = Server(self._place.url, environment.get("PREFECT_API_AUTH_STRING"))
        record = Record(platform.operations.processes.this(), server.place, platform.clock())
        with held(platform.layout.up, record), self._ended(platform, server):
            self._say(f"state database {platform.store.database.url.render_as_string()}")
            if joined:
                self._join(server)
            else:
                self._start_server(platform, server, environment)
            if not self.stop.is_set():
                self._start_work(platform, server, environment)
            if not self.stop.is_set():
                ready(_ready(platform, server, time.monotonic() - began))
            while not self.stop.wait(LOOK_SECONDS):
                self._look()

    def _join(self, server: Server) -> None:
        self._say(f"joining the Prefect server {server.place}")
        if not server.alive():
            raise Unavailable(
                350,
                f"The Prefect server {server.place} does not answer.",
                "start it, or unset PREFECT_API_URL: then a server is started here",
            )

    def _start_server(self, platform: Platform, server: Server, environment: dict[str, str]) -> None:
        _check_free(self._place)
        self._say(f"starting the Prefect server on {self._place.host}, port {self._place.port}")
        self._start(
            platform,
            "server",
            (*_PREFECT, "server", "start", "--host", self._place.host, "--port", str(self._place.port)),
            environment,
        )
        Thread(target=load_flows, daemon=True).start()  # meanwhile: it takes seconds too
        deadline = time.monotonic() + READY_SECONDS
        while not server.alive():
            self._look()
            if time.monotonic() > deadline:
                raise self._children[0].gave_up(f"has not answered within {READY_SECONDS:g} s")
            if self.stop.wait(LOOK_SECONDS):
                return

    def _start_work(self, platform: Platform, server: Server, environment: dict[str, str]) -> None:
        self._say(f"registering the flows, for workers of the pool {POOL}")
        prepare_pool(server)
        register(server)
        with self._said():
            left = sweep(platform, server)
            for what in (*left.runs, *left.activities):
                self._say(f"ended what was left behind: {what}")
        self._say("starting the worker and the dispatcher")
        name = _worker_name(platform)
        worker = ("worker", "start", "--pool", POOL, "--name", name, "--limit", str(self._limit))
        self._start(
            platform,
            "worker",
            (*_PREFECT, *worker),
            surroundings.of_worker(environment),
            orphaned=signal.SIGKILL,  # asked to end it would kill its runs; so they come to their end
        )
        self._start(
            platform,
            "dispatcher",
            (sys.executable, "-m", "branchline", "dispatcher"),
            {**environment, "PREFECT_API_URL": server.url},
        )
        deadline = time.monotonic() + READY_SECONDS
        while name not in server.workers(POOL):
            self._look()
            if time.monotonic() > deadline:
                raise self._children[-2].gave_up(f"is not seen by the server after {READY_SECONDS:g} s")
            if self.stop.wait(LOOK_SECONDS):
                return

    def _start(
        self,
        platform: Platform,
        name: str,
        arguments: Sequence[str],
        environment: dict[str, str],
        orphaned: signal.Signals = signal.SIGTERM,
    ) -> None:
        child = Child(name, arguments, environment, platform.layout.prefect / f"{name}.log", orphaned)
        child.start()
        self._children.append(child)

    def _look(self) -> None:
        """Starts again what has ended. Raises Failed (354) for what ends again and again."""
        for child in self._children:
            if said := child.look():
                self._say(said)

    @contextmanager
    def _ended(self, platform: Platform, server: Server) -> Iterator[None]:
        """Nothing of it runs afterwards, however the body ends."""
        try:
            yield
        finally:
            children = {child.name: child for child in self._children}
            if "worker" in children:
                self._drain(platform, server)
                children.pop("worker").stop()
                with self._said():
                    for what in sweep(platform, server).runs:
                        self._say(what)
            for child in reversed(children.values()):
                child.stop()
            self._say("stopped")

    def _drain(self, platform: Platform, server: Server) -> None:
        """Meanwhile its processes are kept running."""
        self._say("stopping: no new runs")
        failures: list[BranchlineError] = []

        def let_end() -> None:
            try:
                name = _worker_name(platform)
                alone = set(server.workers(POOL)) <= {name}
                wait = platform.settings.drain
                drain(server, POOL, wait, self._say, self.hurry, worker=name, pausing=alone)
            except BranchlineError as error:
                failures.append(error)

        draining = Thread(target=let_end, daemon=True)
        draining.start()
        while draining.is_alive():
            draining.join(LOOK_SECONDS)
            try:
                self._look()
            except Failed as error:
                self._say(error.message)
                break
        for failure in failures:
            self._say(f"not waited for the runs under way: {failure.message}")

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What could not be swept now, the next sweep will: it must not keep this from starting or stopping."""
        try:
            yield
        except BranchlineError as error:
            self._say(error.message)


def _ready(platform: Platform, server: Server, seconds: float) -> Ready:
    projects = [
        (project.name, platform.layout.repository(project.name))
        for project in platform.store.environments.projects()
    ]
    return Ready(server.ui, server.place, seconds, projects)


def _worker_name(platform: Platform) -> str:
    """The host's: by it the sweep knows whose processes it can see."""
    return platform.operations.processes.this().host


def _check_free(place: Place) -> None:
    try:
        family = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((place.host, place.port))
    except OSError as error:
        raise Refused(
            355,
            f"Port {place.port} of {place.host} cannot be had: {error.strerror or error}.",
            f"--port, or join the server that is there: PREFECT_API_URL={place.url} branchline up",
        ) from None
