"""Closes what died without a word: Prefect runs whose process is gone, operations that nobody runs any more.

Each host sweeps for itself, since only there it can be seen which processes live. Once a day what nothing needs any more is
removed too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun as PrefectRun
from prefect.client.schemas.objects import State, StateType
from prefect.states import Cancelled, Crashed

from branchline.domain.running import FlowRun
from branchline.errors import BranchlineError
from branchline.launch.orphans import end, is_orphan, runs_a_flow
from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.timetables import unroll
from branchline.steps.upkeep import Swept, end_left_behind, prune_all, prune_when_due

EVERY = 60.0
UNDER_WAY = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
PAGE = 200
GRACE = timedelta(seconds=30)
"""For a worker to say itself how the process of a run ended."""
NEVER_BEGAN = timedelta(minutes=5)
"""After this long a run that its worker took has a process, or never will."""


def run(platform: Platform, server: Server) -> None:
    """As the dispatcher does it."""
    sweep(platform, server)


def sweep(platform: Platform, server: Server | None, *, prune: bool = False) -> Swept:
    """Without a server, only what Branchline itself knows. `prune`: now, not only once a day.

    Raises what stood in the way of one part when all others are done.
    """
    failures: list[BranchlineError] = []
    closed: list[str] = []
    if server is not None:
        try:
            closed.extend(_close_runs(platform, server))
        except BranchlineError as error:
            failures.append(error)
    ended: Sequence[str] = ()
    removed: Sequence[str] = ()
    try:
        unroll(platform)
    except BranchlineError as error:
        failures.append(error)
    try:
        ended = end_left_behind(platform)
    except BranchlineError as error:
        failures.append(error)
    try:
        removed = prune_all(platform) if prune else prune_when_due(platform)
    except BranchlineError as error:
        failures.append(error)
    if failures:
        raise failures[0]
    return Swept(tuple(closed), tuple(ended), tuple(removed))


def _close_runs(platform: Platform, server: Server) -> Iterator[str]:
    """What became of each, in words."""
    processes = platform.operations.processes
    here = [each for each in platform.store.running.flow_runs() if processes.is_here(each.holder)]
    dead = [each for each in here if not processes.alive(each.holder)]
    yield from _close_dead(platform, server, dead)
    yield from _end_orphans(platform, server, [each for each in here if each not in dead])
    yield from _close_unrecorded(platform, server, {each.id for each in here})


def _close_dead(platform: Platform, server: Server, dead: Sequence[FlowRun]) -> Iterator[str]:
    """Asked after it was seen that their processes are gone, Prefect has heard all that these had to say."""
    runs = _read(server, [each.id for each in dead])
    for each in dead:
        found = runs.get(each.id)
        if found is not None and found.state_type in UNDER_WAY:
            yield _close(server, found, f"its process {each.holder.pid} is gone")
        platform.store.running.ended(each.id, each.holder)


def _end_orphans(platform: Platform, server: Server, alive: Sequence[FlowRun]) -> Iterator[str]:
    """Runs that are to be cancelled and have no worker that would do it."""
    orphans = {each.id: each for each in alive if is_orphan(each.holder)}
    runs = _read(server, list(orphans))
    cancelling = [run for run in runs.values() if run.state_type is StateType.CANCELLING]
    end([orphans[str(run.id)].holder for run in cancelling], platform.operations.processes)
    for run in cancelling:
        orphan = orphans[str(run.id)]
        if not platform.operations.processes.alive(orphan.holder):
            yield _close(server, run, "it was ended where it ran: it had no worker that could do it")
            platform.store.running.ended(orphan.id, orphan.holder)


def _close_unrecorded(platform: Platform, server: Server, recorded: set[str]) -> Iterator[str]:
    """Runs that a worker of this host took, and that died before they were recorded, or just after."""
    now = platform.clock()
    host = platform.operations.processes.this().host
    for run in _under_way(server):
        since = run.state.timestamp if run.state else run.expected_start_time
        if str(run.id) in recorded or since is None or run.labels.get("prefect.worker.name") != host:
            continue
        pid = _pid(run)
        gone = not runs_a_flow(pid) if pid is not None else run.state_type is StateType.PENDING
        if gone and now - since > (GRACE if pid is not None else NEVER_BEGAN):
            (again,) = _read(server, [str(run.id)]).values() or (run,)
            if again.state_type in UNDER_WAY:
                yield _close(server, again, "its process is gone")


def _close(server: Server, run: PrefectRun, why: str) -> str:
    message = f"Closed by Branchline: {why}."
    state: State[Any] = Crashed(message=message)
    if run.state_type is StateType.CANCELLING:
        state = Cancelled(message=message)
    with server.asked() as api:
        api.set_flow_run_state(run.id, state, force=True)
    return f"{run.name}: {state.name}, {why}"


def _read(server: Server, ids: Sequence[str]) -> Mapping[str, PrefectRun]:
    """Those that Prefect knows."""
    found: dict[str, PrefectRun] = {}
    for first in range(0, len(ids), PAGE):
        wanted = FlowRunFilterId(any_=[UUID(each) for each in ids[first : first + PAGE]])
        with server.asked() as api:
            found |= {
                str(run.id): run for run in api.read_flow_runs(flow_run_filter=FlowRunFilter(id=wanted))
            }
    return found


def _under_way(server: Server) -> Sequence[PrefectRun]:
    """All of them, before any is closed: that would move those on the next page."""
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNDER_WAY)))
    found: list[PrefectRun] = []
    with server.asked() as api:
        while page := api.read_flow_runs(flow_run_filter=wanted, limit=PAGE, offset=len(found)):
            found += page
            if len(page) < PAGE:
                break
    return found


def _pid(run: PrefectRun) -> int | None:
    text = (run.infrastructure_pid or "").rpartition(":")[2]
    return int(text) if text.isdecimal() else None
