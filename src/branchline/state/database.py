"""The connection to the state database: its schema brought up to date, its writers one at a time, its failures in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable

SCHEMA = "0002"
"""The newest migration that this code knows; a test compares it with the folder."""

BUSY_SECONDS = 20


class StateDatabase:
    """SQLite in WAL mode; a writing transaction is BEGIN IMMEDIATE, so it never has to be done again."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        if self.url.get_backend_name() != "sqlite":
            raise BadInput(
                300,
                f"This version keeps its state in SQLite, not in {self.url.get_backend_name()}.",
                "leave `state` unset, or name a file: sqlite:///path",
            )
        if self.url.database:
            self._make_directory(Path(self.url.database).parent)
        self._engine = _engine(url)
        with self._in_words(), self._engine.connect() as connection:
            connection.execute(text("BEGIN IMMEDIATE"))
            _bring_up_to_date(connection)
            connection.commit()

    def _make_directory(self, directory: Path) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(error.strerror or str(error)) from None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view."""
        with self._in_words(), Session(self._engine) as session:
            session.execute(text("BEGIN"))
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that has the database to itself; rolled back when the body raises."""
        with self._in_words(), Session(self._engine) as session:
            session.execute(text("BEGIN IMMEDIATE"))
            yield session
            session.commit()

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except BranchlineError:
            raise
        except OperationalError as error:
            raise self._explain(error) from None
        except DatabaseError as error:
            if isinstance(error.orig, sqlite3.DatabaseError) and not isinstance(
                error.orig, sqlite3.IntegrityError
            ):
                raise self._explain(error) from None
            raise

    def _not_writable(self, reason: str) -> Failed:
        return Failed(
            302,
            f"The state database {self.url.database} cannot be written: {reason}.",
            "run as the user that owns it, or set BRANCHLINE_HOME",
        )

    def _explain(self, error: DatabaseError) -> BranchlineError:
        reason, where = str(error.orig), self.url.database
        if "locked" in reason or "busy" in reason:
            return Unavailable(
                301, f"The state database {where} stayed locked for {BUSY_SECONDS} seconds.", "try again"
            )
        if "readonly" in reason or "unable to open" in reason:
            return self._not_writable(reason)
        if "malformed" in reason or "not a database" in reason:
            return Failed(
                303,
                f"The state database {where} is damaged: {reason}.",
                "restore it from a backup: docs/how-to/back-up-branchline.md",
            )
        return Failed(304, f"The state database {where} failed: {reason}.", "look at the disk it is on")


def _engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _bring_up_to_date(connection: Connection) -> None:
    found = _revision(connection)
    if found == SCHEMA:
        return
    if found is not None and found > SCHEMA:
        raise Refused(
            305,
            f"The state database has schema {found}, made by a newer Branchline; this one knows {SCHEMA}.",
            "upgrade Branchline, or restore the backup made before the upgrade",
        )
    from alembic import command  # noqa: PLC0415 - 0.2 s that only an upgrade should pay
    from alembic.config import Config  # noqa: PLC0415 - the same

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, SCHEMA)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
