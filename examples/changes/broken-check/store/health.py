"""Whether this code can serve from this database."""

from __future__ import annotations

import sqlite3

from store import database


def problem(connection: sqlite3.Connection) -> str | None:
    """What is wrong, in one sentence; None when the shop can serve."""
    have, want = database.schema_version(connection), database.code_version()
    if have != want:
        return f"the database has schema {have}, this code needs {want}"
    # The migration that makes this table was forgotten.
    if not connection.execute("SELECT 1 FROM warehouses LIMIT 1").fetchone():
        return "there is no warehouse to send from"
    return None
