"""State in an SQLite file, for one machine: WAL mode, and a writing transaction is BEGIN IMMEDIATE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from branchline.errors import BadInput, BranchlineError, Failed, Unavailable


class SqliteEngine:
    def __init__(self, url: URL, busy_seconds: float) -> None:
        self._place = url.database
        self._busy_seconds = busy_seconds
        if url.query:
            raise BadInput(
                308,
                f"The URL of the state database {self._place} says more than where its file lies.",
                "leave out what stands behind the question mark",
            )
        if url.database:
            self._make_directory(Path(url.database).parent)
        self.engine = create_engine(url, connect_args={"timeout": busy_seconds}, hide_parameters=True)
        event.listen(self.engine, "connect", _prepare)

    def begin_read(self) -> Session:
        return self._begin("BEGIN")

    def begin_write(self) -> Session:
        return self._begin("BEGIN IMMEDIATE")

    def explain(self, error: DBAPIError) -> BranchlineError:
        reason = str(error.orig)
        if "locked" in reason or "busy" in reason:
            return Unavailable(
                301,
                f"The state database {self._place} stayed locked for {self._busy_seconds} seconds.",
                "try again",
            )
        if "readonly" in reason or "unable to open" in reason:
            return self._not_writable(reason)
        if "malformed" in reason or "not a database" in reason:
            return Failed(
                303,
                f"The state database {self._place} is damaged: {reason}.",
                "restore it from a backup: docs/how-to/back-up-branchline.md",
            )
        return Failed(304, f"The state database {self._place} failed: {reason}.", "look at the disk it is on")

    def _begin(self, statement: str) -> Session:
        session = Session(self.engine)
        try:
            session.execute(text(statement))
        except BaseException:
            session.close()
            raise
        return session

    def _make_directory(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(error.strerror or str(error)) from None

    def _not_writable(self, reason: str) -> Failed:
        return Failed(
            302,
            f"The state database {self._place} cannot be written: {reason}.",
            "run as the user that owns it, or set BRANCHLINE_HOME",
        )


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
