"""The state database: its schema brought up to date, its writers one at a time, its failures in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import URL, Connection, Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from branchline.errors import BadInput, BranchlineError, Refused
from branchline.state.postgresql_engine import PostgresqlEngine
from branchline.state.sqlite_engine import SqliteEngine

SCHEMA = "0002"
"""The newest migration that this code knows; a test compares it with the folder."""

BUSY_SECONDS = 20


class StateEngine(Protocol):
    """What differs from one kind of database to another."""

    engine: Engine

    def begin_read(self) -> Session:
        """A session that sees one moment, whatever others write meanwhile."""
        ...

    def begin_write(self) -> Session:
        """A session that is the only one that writes, from now to its commit."""
        ...

    def explain(self, error: DBAPIError) -> BranchlineError:
        """The driver's error in words, with the database's name and never with a password."""
        ...


_ENGINES: Mapping[str, Callable[[URL, float], StateEngine]] = {
    "sqlite": SqliteEngine,
    "sqlite+pysqlite": SqliteEngine,
    "postgresql": PostgresqlEngine,
    "postgresql+psycopg": PostgresqlEngine,
}


class StateDatabase:
    """One writing transaction at a time, so it never has to be done again; readers never wait for it.

    Raises BadInput for a URL that makes no sense, Refused when a newer Branchline made the database.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self._engine = _ENGINES[self.url.drivername](self.url, BUSY_SECONDS)
        with self.read() as session:
            found = _revision(session.connection())
        if found != SCHEMA:
            with self.write() as session:
                _bring_up_to_date(session.connection())

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view."""
        with self._in_words(), self._engine.begin_read() as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that has the database to itself; rolled back when the body raises."""
        with self._in_words(), self._engine.begin_write() as session:
            yield session
            session.commit()

    def close(self) -> None:
        self._engine.engine.dispose()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._engine.explain(error) from None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInput(
            308,
            "What BRANCHLINE_STATE_URL or state_url says is not the URL of a database.",
            "name a file, sqlite:////path/to/it, or a server, postgresql+psycopg://user@host/database",
        ) from None
    if parsed.drivername not in _ENGINES:
        raise BadInput(
            300,
            f"State is kept in SQLite or PostgreSQL, not in {parsed.drivername}.",
            "leave `state_url` unset, or name a file, sqlite:////path, or a server, postgresql+psycopg://...",
        )
    return parsed


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
