"""How far a sync is: told at each table, and at each percent, not at each block."""

from __future__ import annotations

from collections.abc import Mapping

from branchline.operation import progress
from branchline.sanitize.report import Progress

FROM_TO = {"copy": (0.0, 60.0), "finish": (60.0, 65.0), "disarm": (65.0, 65.0), "prove": (65.0, 100.0)}
"""The percent at which each stage begins and ends."""
LEAST = 1.0
"""Percent between two lines about the same table."""


class SyncProgress:
    """Of one database. `rows` are those of each table that is copied.

    Records of the logger `branchline.progress` with `event` progress: `what` is the stage and its table, `percent` of
    the whole database.
    """

    def __init__(self, database: str, rows: Mapping[str, int]) -> None:
        self._database = database
        self._rows = max(1, sum(rows.values()))
        self._done: dict[tuple[str, str], int] = {}
        self._told: tuple[str, float] = ("", 0.0)

    def __call__(self, done: Progress) -> None:
        self._done[done.stage, done.table] = done.rows
        what = f"{done.stage} {done.table}".strip()
        percent = self._percent(done.stage)
        if what != self._told[0] or percent >= self._told[1] + LEAST:
            self._told = (what, percent)
            of = f", {done.rows:,} of {done.of:,} rows" if done.of else ""
            tell(f"{self._database}: {what}{of}", what, percent)

    def _percent(self, stage: str) -> float:
        begin, end = FROM_TO[stage]
        rows = sum(rows for (each, _), rows in self._done.items() if each == stage)
        return begin + (end - begin) * min(1.0, rows / self._rows)


def tell(sentence: str, what: str, percent: float) -> None:
    """To whoever watches: a terminal, a Prefect run."""
    progress.info(
        f"{sentence} ({percent:.0f} %)",
        extra={"event": "progress", "step": "", "what": what, "percent": percent},
    )
