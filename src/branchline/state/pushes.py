"""The outbox of the Git hooks."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class Pushes:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
