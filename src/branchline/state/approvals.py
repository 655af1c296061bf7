"""What people said about releases."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class Approvals:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
