"""Where the database is, how it is opened, and which schema it has."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MIGRATIONS = ROOT / "migrations"


def path() -> Path:
    """The database file: the platform's relationship, or STORE_DATABASE when the shop is run by hand.

    Raises RuntimeError when neither is given.
    """
    relationships = os.environ.get("BRANCHLINE_RELATIONSHIPS")
    if relationships:
        return Path(json.loads(base64.b64decode(relationships))["database"][0]["path"])
    if "STORE_DATABASE" in os.environ:
        return Path(os.environ["STORE_DATABASE"])
    raise RuntimeError("no database: set STORE_DATABASE to the file to use")


def connect(*, create: bool = False) -> sqlite3.Connection:
    """Opens the database in autocommit; `transaction` groups. Raises sqlite3.OperationalError without a file."""
    mode = "rwc" if create else "rw"
    connection = sqlite3.connect(f"{path().resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Takes the write lock at once, so that what is read inside still holds at the end."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def migrations() -> list[tuple[int, Path]]:
    """The migrations that this code brings, by number. Raises RuntimeError when two have one number."""
    numbered = sorted((int(file.name.split("_")[0]), file) for file in MIGRATIONS.glob("[0-9]*_*.sql"))
    if len({number for number, _ in numbered}) < len(numbered):
        raise RuntimeError("two migrations have the same number")
    return numbered


def code_version() -> int:
    """The schema that this code is written for."""
    return migrations()[-1][0]


def schema_version(connection: sqlite3.Connection) -> int:
    """The schema that the database has; 0 for an empty one."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
    if not known:
        return 0
    return connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()[0]
