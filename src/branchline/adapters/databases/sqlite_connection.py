"""Opening SQLite files, and errors of the driver without the values that it likes to quote."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from branchline.errors import Failed, Unavailable

_SPEAKS_OF_SCHEMA_ONLY = (
    "UNIQUE constraint failed",
    "NOT NULL constraint failed",
    "CHECK constraint failed",
    "FOREIGN KEY constraint failed",
    "no such table",
    "no such column",
    "no such function",
    "no such module",
    "database or disk is full",
    "disk I/O error",
    "database disk image is malformed",
    "file is not a database",
    "unable to open database file",
    "attempt to write a readonly database",
    "not authorized",
)


def identifier(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def without_values(error: Exception) -> str:
    """What the driver said, where that speaks of the schema only; else the kind of error."""
    text = str(error)
    if text.startswith(_SPEAKS_OF_SCHEMA_ONLY):
        return text.splitlines()[0][:200]
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


@contextmanager
def scrubbed(doing: str, number: int = 504) -> Iterator[None]:
    """Raises Failed or Unavailable in place of a driver's error: no value in it, and the original not chained to it."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        failure = _told(error, doing, number)
        try:
            raise failure from None
        finally:
            failure.__context__ = None  # a chained error would be printed, or pickled, with its values


def _told(error: Exception, doing: str, number: int) -> Failed | Unavailable:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(
            number, f"{doing}: the database is locked by another process.", "Try again in a minute."
        )
    hint = "Correct what it names, then start again; nothing was switched."
    return Failed(number, f"{doing}: {without_values(error)}.", hint)


def connect(path: Path, mode: Literal["ro", "rw", "rwc"]) -> sqlite3.Connection:
    """A connection without implicit transactions, usable from any thread, whose temporary tables stay in memory.

    Raises Failed when the file cannot be opened so.
    """
    with scrubbed(f"opening the database {path.name}"):
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10,
            cached_statements=32,
        )
        try:
            connection.execute("PRAGMA temp_store = MEMORY")
            if mode == "ro":
                connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        return connection
    raise AssertionError


def same_moment(path: Path, count: int) -> list[sqlite3.Connection]:
    """Connections that each hold a read transaction on one and the same state of a database.

    A further connection's `data_version` tells whether anybody has committed while they began
    (https://www.sqlite.org/pragma.html#pragma_data_version). Raises Unavailable when that never pauses.
    """
    watch = connect(path, "ro")
    try:
        for _ in range(1000):
            before = _data_version(watch)
            opened = [_begun(path) for _ in range(count)]
            if _data_version(watch) == before:
                return opened
            for connection in opened:
                connection.close()
    finally:
        watch.close()
    raise Unavailable(503, f"{path.name} is written to without a pause.", "Try again when it is less busy.")


def _begun(path: Path) -> sqlite3.Connection:
    connection = connect(path, "ro")
    with scrubbed(f"reading {path.name}"):
        connection.execute(
            "PRAGMA query_only = OFF"
        )  # of this file nothing can be written anyway; of an attached one it can
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return connection


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def make_durable(path: Path) -> None:
    """Has the file and its name on disk."""
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
