"""People and their public keys."""

from __future__ import annotations

from branchline.state.database import StateDatabase


class People:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database
