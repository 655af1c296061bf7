"""From trigger to end of a flow that does nothing, on a warm worker: ours against Prefect's own empty flow."""

from __future__ import annotations

import statistics
import tempfile
from datetime import datetime
from pathlib import Path

from tests.server.prefect_server import Server, started
from tests.server.tiny import made_home

ROUNDS = 5


def measure() -> list[dict[str, object]]:
    """Medians of runs taken in turns, after a first of each; seconds of ours stand in the last row."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "prefect").mkdir()
        with made_home(root) as home, started(root / "prefect", home.environment) as server:
            server.wait_ready()
            server.prefect("work-pool", "create", "branchline", "--type", "process")
            server.register("--name", "recover")
            server.prefect(
                *("--no-prompt", "deploy", "benchmarks/empty_flow.py:empty"),
                *("--name", "empty", "--pool", "branchline"),
            )
            server.pause_schedules("recover")
            server.start_worker()
            _seconds(server, "recover"), _seconds(server, "empty")
            taken = [(_seconds(server, "recover"), _seconds(server, "empty")) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(each) for each in zip(*taken, strict=True))
    return [
        {
            "job": f"a flow that does nothing: {ours:.1f} s",
            "against": f"Prefect's empty flow: {theirs:.1f} s",
            "ratio": round(ours / theirs, 2),
            "at_most": round((theirs + 1) / theirs, 2),
        },
        {"job": "the same, in seconds", "against": "one second", "ratio": round(ours, 1), "at_most": 5},
    ]


def _seconds(server: Server, flow: str) -> float:
    run = server.ended(server.run(flow))
    return (datetime.fromisoformat(run["end_time"]) - datetime.fromisoformat(run["created"])).total_seconds()
