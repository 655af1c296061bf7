"""A run on a Prefect server, watched from afar: its task runs are the steps, its log is the output.

Nothing but the server is asked, so that whoever watches needs no Branchline home.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter
from prefect.client.schemas.objects import Log, TaskRun
from prefect.client.schemas.sorting import LogSort
from prefect.settings import PREFECT_UI_URL

from branchline.domain.happening import Happening
from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable
from branchline.launch.server import RunState, Server

POLL_SECONDS = 1.0
HOLD_SECONDS = 2.5
"""A run sends its log every two seconds: for so long a step's end is held back, so that its lines come before it."""
LAST_LINES_SECONDS = 10.0
"""For the log of a run that has ended."""
PATIENCE_SECONDS = 300.0
"""For a server that does not answer."""
PAGE = 200
OVERLAP = timedelta(seconds=30)
"""Several processes write one log, each at its own pace: lines that old may still come."""
WARNING = 30
ERRORS: dict[str, type[BranchlineError]] = {
    "Bad input": BadInput,
    "Refused": Refused,
    "Unavailable": Unavailable,
}
"""By the name of a failed run's state, docs/decisions/0010."""
_OURS = re.compile(r"(?s)(?P<message>.*?) \[B(?P<number>\d{3})\](?:\n  next: (?P<hint>.*))?")
_OF_PREFECT = re.compile(r"Finished in state |Task run (encountered|failed)|Created (sub)?(flow|task) run ")


def page_of(server: Server, run: str) -> str:
    """Where people see it: in the UI that PREFECT_UI_URL names, or in the server's own."""
    return f"{PREFECT_UI_URL.value() or f'{server.ui}/v2'}/runs/flow-run/{run}"


def error_of(state: RunState) -> BranchlineError | None:
    """What the command would have raised, had the run been one; None for one that completed."""
    if state.type == "COMPLETED":
        return None
    found = _OURS.fullmatch(state.message)
    if state.type == "FAILED" and found:
        number, hint = int(found["number"]), found["hint"] or ""
        return ERRORS.get(state.name, Failed)(number, found["message"], hint)
    reason = f": {state.message.strip()}" if state.message.strip() else ""
    return Failed(285, f"The run ended as {state.name}{reason}", "look at its page on the Prefect server")


@dataclass
class Watch:
    """`tell` gets what happens, in order."""

    server: Server
    run: str
    tell: Callable[[Happening], None]
    wait: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _held: list[tuple[float, Happening, UUID | None]] = field(default_factory=list)
    _begun: set[UUID] = field(default_factory=set)
    _ended: set[UUID] = field(default_factory=set)
    _names: dict[UUID, str] = field(default_factory=dict)
    _details: dict[UUID, str] = field(default_factory=dict)
    _lines: set[UUID] = field(default_factory=set)
    _newest: datetime | None = None
    _said_late: bool = False

    def until_ended(self, seconds: float | None = None) -> RunState:
        """Its last state, after all that happened was told.

        Raises Unavailable (350) when the server stays away, Failed (286) when `seconds` are over before.
        """
        began = answered = self.monotonic()
        while True:
            try:
                state = self._look()
            except Unavailable:
                if self.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            else:
                answered = self.monotonic()
                if state.ended:
                    self._see_the_end(state)
                    return state
            if seconds is not None and self.monotonic() - began > seconds:
                raise Failed(286, f"It has not ended within {seconds:.0f} s.", page_of(self.server, self.run))
            self.wait(POLL_SECONDS)

    def _look(self) -> RunState:
        state = self.server.state(self.run)
        if state.name == "Late" and not self._said_late:
            self._said_late = True
            self._see(Happening("warning", "no worker has taken it yet", datetime.now(UTC)))
        self._see_steps(self._task_runs())
        self._see_lines(self._log())
        self._release(self.monotonic() - HOLD_SECONDS)
        return state

    def _see_the_end(self, state: RunState) -> None:
        """What it left behind comes a little later than its last state."""
        deadline = self.monotonic() + LAST_LINES_SECONDS
        finished = False
        while self.monotonic() < deadline:
            try:
                runs, log = self._task_runs(), self._log()
            except Unavailable:
                break
            finished = finished or any(
                line.message.startswith("Finished in state") for line in log if not line.task_run_id
            )
            self._see_steps(runs)
            self._see_lines(log)
            if state.type not in ("COMPLETED", "FAILED") or (finished and self._begun <= self._ended):
                break
            self.wait(POLL_SECONDS)
        self._release(self.monotonic())

    def _task_runs(self) -> list[TaskRun]:
        with self.server.asked() as api:
            return api.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[UUID(self.run)])), limit=PAGE
            )

    def _log(self) -> list[Log]:
        since = {"after_": self._newest - OVERLAP} if self._newest else None
        wanted = LogFilter.model_validate({"flow_run_id": {"any_": [self.run]}, "timestamp": since})
        found: list[Log] = []
        while True:
            with self.server.asked() as api:
                page = api.read_logs(wanted, limit=PAGE, offset=len(found), sort=LogSort.TIMESTAMP_ASC)
            found += page
            if len(page) < PAGE:
                return found

    def _see_steps(self, runs: Iterable[TaskRun]) -> None:
        for run in runs:
            self._names[run.id] = run.name
            state = run.state
            if run.start_time and run.id not in self._begun:
                self._begun.add(run.id)
                self._see(Happening("begun", run.name, run.start_time), run.id)
            if state and state.is_final() and run.start_time and run.id not in self._ended:
                self._ended.add(run.id)
                ended = run.end_time or state.timestamp
                seconds = (ended - run.start_time).total_seconds()
                event: Any = "done" if state.is_completed() else "failed"
                self._see(Happening(event, run.name, ended, seconds), run.id)

    def _see_lines(self, log: Iterable[Log]) -> None:
        for line in log:
            if line.id in self._lines:
                continue
            self._lines.add(line.id)
            self._newest = max(self._newest or line.timestamp, line.timestamp)
            step = line.task_run_id
            name = self._names.get(step, "") if step else ""
            if name and line.message.startswith(f"{name}: ") and step:
                self._details[step] = line.message.removeprefix(f"{name}: ")
            elif _is_told(line):
                event: Any = "warning" if line.level >= WARNING else "line"
                self._see(Happening(event, line.message, line.timestamp), step)

    def _see(self, happening: Happening, step: UUID | None = None) -> None:
        self._held.append((self.monotonic(), happening, step))

    def _release(self, until: float) -> None:
        """Tells what was seen until then, in the order in which it happened."""
        ready = [each for each in self._held if each[0] <= until]
        self._held = [each for each in self._held if each[0] > until]
        for _, happening, step in sorted(ready, key=lambda each: each[1].at):
            detail = self._details.get(step, "") if step and happening.event == "done" else ""
            self.tell(replace(happening, detail=detail) if detail else happening)


def _is_told(line: Log) -> bool:
    """Not what Prefect says of itself, and not the error, which is told when the run has ended."""
    if line.task_run_id is None:
        return line.level >= WARNING and not _OURS.fullmatch(line.message)
    return not _OF_PREFECT.match(line.message)
