"""Letting the runs of a pool come to their end: no new ones, then waiting, then cancelling the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event

from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType

from branchline.launch.orphans import GRACE_SECONDS
from branchline.launch.server import Server

LOOK_SECONDS = 1.0
LAST_SECONDS = GRACE_SECONDS + 10.0
"""For runs that were cancelled to undo what they had begun; Prefect kills them after 30 seconds."""

Say = Callable[[str], None]


def drain(
    server: Server, pool: str, seconds: float, say: Say, hurry: Event, *, worker: str | None, pausing: bool
) -> Sequence[str]:
    """The names of the runs that are still under way afterwards: whoever ends their worker ends these.

    Waits so long for those under way, or until `hurry` is set, then cancels them. `worker`: those of this one only; what
    other machines run is theirs. `pausing`: the pool, before. Raises as `Server.asked` does.
    """
    if pausing:
        pause(server, pool)
    _wait(server, pool, seconds, say, hurry, worker)
    rest = under_way(server, pool, worker)
    for run in rest:
        say(f"cancelling {run.name}")
        server.cancel(str(run.id))
    if rest:
        _wait(server, pool, LAST_SECONDS, lambda _: None, Event(), worker)
    return [run.name for run in under_way(server, pool, worker)]


def pause(server: Server, pool: str) -> None:
    """No worker takes a run of it until it is resumed; they wait."""
    with server.asked() as api:
        api.update_work_pool(pool, WorkPoolUpdate(is_paused=True))


def under_way(server: Server, pool: str, worker: str | None) -> Sequence[FlowRun]:
    """Runs that a worker has taken and that have not ended: this one, or nobody knows yet which."""
    states = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
    with server.asked() as api:
        runs = api.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states))),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        )
    return [run for run in runs if worker in (None, run.labels.get("prefect.worker.name", worker))]


def _wait(server: Server, pool: str, seconds: float, say: Say, hurry: Event, worker: str | None) -> None:
    deadline = time.monotonic() + seconds
    told: Sequence[str] = ()
    while runs := under_way(server, pool, worker):
        names = sorted(run.name for run in runs)
        if names != told:
            say(f"waiting for {', '.join(names)}")
            told = names
        left = deadline - time.monotonic()
        if left <= 0 or hurry.wait(min(LOOK_SECONDS, left)):
            return
