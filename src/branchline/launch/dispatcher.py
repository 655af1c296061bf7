"""The one process that carries rows of the state to Prefect and to the outside. It keeps no state of its own.

Others stand by: one of them goes on when the one that dispatches is dead or gives no sign of life any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

from branchline.domain.activity import Holder
from branchline.domain.outcome import reason_of
from branchline.domain.running import Beat
from branchline.errors import BranchlineError, Unavailable
from branchline.launch.duties import DUTIES, Duty, name_of
from branchline.launch.server import POOL, Server
from branchline.platform import Platform

NAME = "dispatcher"
BEAT_SECONDS = 5.0
"""Between two signs of life, and between two looks at whoever dispatches instead of this one."""
LONGEST_WAIT = 30.0
"""Of a duty that fails, before it is tried again."""
LAST_SECONDS = 10.0
"""In which duties may end what they are at, when they are to stop."""

_log = logging.getLogger(__name__)


def run(platform: Platform, server: Server, stop: Event, duties: Sequence[Duty] = DUTIES) -> None:
    """Until `stop` is set: does the duties, or stands by while another process does them."""
    this = platform.operations.processes.this()
    stands_by_for: Holder | None = None
    while not stop.is_set():
        try:
            dispatches = _take(platform, this)
        except BranchlineError as error:
            _log.error("%s", _in_one_line(error))
            dispatches = None
        if dispatches == this:
            _log.info("dispatching for %s", server.place)
            _Dispatcher(platform, server, this).work(stop, duties)
        elif dispatches is not None and dispatches != stands_by_for:
            _log.info("standing by: process %s on %s dispatches", dispatches.pid, dispatches.host)
        stands_by_for = dispatches
        stop.wait(BEAT_SECONDS)


def _take(platform: Platform, this: Holder) -> Holder | None:
    """Who dispatches now: this process, unless another one lives and gives signs of life. None: another was quicker."""
    state, now = platform.store.running, platform.clock()
    seen = state.last(NAME)
    if seen is not None:
        gone = _gone(platform, seen)
        if seen.fresh(now) and not gone:
            return seen.holder
        if not gone:
            _log.warning(
                "process %s on %s gives no sign of life; going on in its place",
                seen.holder.pid,
                seen.holder.host,
            )
    taken = state.take(NAME, this, now, {"since": now.isoformat()}, instead_of=seen)
    return this if taken else None


def _gone(platform: Platform, beat: Beat) -> bool:
    processes = platform.operations.processes
    return processes.is_here(beat.holder) and not processes.alive(beat.holder)


class _Dispatcher:
    """While it has the name."""

    def __init__(self, platform: Platform, server: Server, this: Holder) -> None:
        self._platform = platform
        self._server = server
        self._this = this
        self._since = platform.clock()
        self._over = Event()
        self._lock = Lock()
        self._failing: dict[str, str] = {}
        self._seen: Mapping[str, Any] = {}

    def work(self, stop: Event, duties: Sequence[Duty]) -> None:
        """Until `stop` is set, or another process has the name."""
        watch = Thread(
            target=self._repeat, args=("server", BEAT_SECONDS, self._look, BEAT_SECONDS), daemon=True
        )
        threads = [watch, *(self._thread(duty) for duty in duties)]
        for thread in threads:
            thread.start()
        try:
            while self._beat() and not stop.wait(BEAT_SECONDS):
                pass
        finally:
            self._over.set()
            deadline = time.monotonic() + LAST_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            with suppress(BranchlineError):
                self._platform.store.running.leave(NAME, self._this)

    def _thread(self, duty: Duty) -> Thread:
        def turn() -> None:
            duty.run(self._platform, self._server)

        return Thread(
            target=self._repeat, args=(name_of(duty), duty.EVERY, turn), name=name_of(duty), daemon=True
        )

    def _beat(self) -> bool:
        """Whether it may go on. Without the state database it does: nobody else can take its place either."""
        with self._lock:
            failing = dict(self._failing)
        detail = {
            "since": self._since.isoformat(),
            "server": self._server.place,
            "failing": failing,
            **self._seen,
        }
        try:
            mine = self._platform.store.running.beat(NAME, self._this, self._platform.clock(), detail)
        except BranchlineError as error:
            _log.error("%s", _in_one_line(error))
            return True
        if not mine:
            _log.warning("another process dispatches now")
        return mine

    def _look(self) -> None:
        """How the server is, and the workers that it hears from."""
        seen: Mapping[str, Any] = {"reachable": False, "workers": []}
        try:
            if not (self._server.alive() or self._server.alive()):  # once is a busy machine
                raise Unavailable(350, f"The Prefect server {self._server.place} does not answer.")
            seen = {"reachable": True, "workers": self._server.workers(POOL)}
        finally:
            self._seen = seen  # only now: signs of life go out while it looks

    def _repeat(
        self, name: str, every: float, turn: Callable[[], None], longest: float | None = None
    ) -> None:
        """A turn each so many seconds; after failures, later and later. Nothing that a turn raises ends it."""
        longest = longest or max(every, LONGEST_WAIT)
        wait = 0.0
        while not self._over.wait(wait):
            try:
                turn()
            except Exception as error:  # noqa: BLE001 - a duty must not end the others
                wait = min(max(wait, every) * 2, longest)
                self._failed(name, _in_one_line(error))
            else:
                wait = every
                self._failed(name, None)

    def _failed(self, name: str, reason: str | None) -> None:
        """Logged when it is new."""
        with self._lock:
            before = self._failing.pop(name, None)
            if reason is not None:
                self._failing[name] = reason
        if reason is not None and reason != before:
            _log.error("%s: %s", name, reason)
        elif reason is None and before is not None:
            _log.info("%s: works again", name)


def _in_one_line(error: BaseException) -> str:
    return " ".join(reason_of(error).split())[:500]
