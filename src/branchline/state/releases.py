"""Releases, their approvals, and the timetables that make them. A release is claimed by one compare-and-swap."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class Releases:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
