"""Which processes run: those of Prefect's flow runs, and those that run all the time."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class Running:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
