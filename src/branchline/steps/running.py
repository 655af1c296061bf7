"""What keeps Branchline running: as the dispatcher last said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from branchline.platform import Platform


@dataclass(frozen=True, slots=True)
class WhatRuns:
    """`dispatcher` is its process and host, None when none gives signs of life; the rest is what it said of itself.

    `failing` is by duty what it could not do when it last tried.
    """

    dispatcher: str | None
    since: datetime | None = None
    server: str | None = None
    reachable: bool = False
    workers: Sequence[str] = ()
    failing: Mapping[str, str] = field(default_factory=dict)


def what_runs(platform: Platform) -> WhatRuns:
    """Whether pushes, releases and news are carried to a Prefect server now, and who is there to run what they start."""
    beat = platform.store.running.alive("dispatcher", platform.clock())
    processes = platform.operations.processes
    if beat is None or (processes.is_here(beat.holder) and not processes.alive(beat.holder)):
        return WhatRuns(None)
    said: Mapping[str, Any] = beat.detail
    return WhatRuns(
        dispatcher=f"process {beat.holder.pid} on {beat.holder.host}",
        since=datetime.fromisoformat(said["since"]) if "since" in said else None,
        server=said.get("server"),
        reachable=bool(said.get("reachable")),
        workers=tuple(said.get("workers", ())),
        failing=dict(said.get("failing", {})),
    )


def in_words(running: WhatRuns, now: datetime) -> Sequence[str]:
    """One line each."""
    if running.dispatcher is None:
        return ["no dispatcher: pushes and releases wait until one runs (branchline up)"]
    minutes = int((now - running.since).total_seconds() // 60) if running.since else 0
    state = "" if running.reachable else " (does not answer)"
    return [
        f"server: {running.server}{state}",
        f"dispatcher: {running.dispatcher}, for {minutes} min",
        f"workers: {', '.join(running.workers) or 'none, so nothing that is started runs'}",
        *(f"{duty} fails: {reason}" for duty, reason in running.failing.items()),
    ]
