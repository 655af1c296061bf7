"""What comes again: release trains and scheduled syncs."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class Timetables:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
