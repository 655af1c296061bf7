"""One database of a PostgreSQL server, whoever made it: what it is, and how far behind its replication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from branchline.adapters.databases.postgresql_connection import Connection, PostgresqlServer, scrubbed
from branchline.adapters.databases.postgresql_rights import writing_rights
from branchline.adapters.databases.postgresql_snapshot import opened
from branchline.adapters.databases.replication_lag import LagWatch
from branchline.ports import Snapshot

_OF_CLUSTER = """
SELECT 'cluster ' || s.system_identifier || '/' || d.oid FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()"""
_OF_SERVER = """
SELECT 'server ' || extract(epoch FROM pg_postmaster_start_time()) || ' ' || current_setting('port') || '/' || oid
FROM pg_database WHERE datname = current_database()"""
_BEHIND = """
SELECT CASE
  WHEN NOT pg_is_in_recovery() THEN NULL
  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
  ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END"""
_FOLLOWERS = """
SELECT count(*) FILTER (WHERE state IS NULL), coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication"""


class PostgresqlExisting:
    """Implements `branchline.adapters.databases.adopted.Existing`; the `database` that is named, else the URL's."""

    def __init__(self, url: str, database: str | None = None) -> None:
        self.server, of_url = PostgresqlServer.from_url(url)
        self.database = database or of_url

    def version(self) -> str:
        with self._connected() as connection:
            return str(connection.info.server_version // 10000)

    def identity(self) -> frozenset[str]:
        with self._connected() as connection, scrubbed(f"asking {self.database} which it is"):
            (may,) = connection.execute(
                "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
            ).fetchone() or (False,)
            asked = (_OF_CLUSTER, _OF_SERVER) if may else (_OF_SERVER,)
            return frozenset(str(row[0]) for sql in asked if (row := connection.execute(sql).fetchone()))
        raise AssertionError

    def writable(self) -> Sequence[str]:
        with self._connected() as connection:
            return writing_rights(connection)

    def size(self) -> int:
        with self._connected() as connection, scrubbed(f"measuring {self.database}"):
            (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
            return int(size)
        raise AssertionError

    def relationship(self) -> Mapping[str, object]:
        return {
            "scheme": "pgsql",
            "host": self.server.host,
            "port": self.server.port,
            "path": self.database,
            "username": self.server.user,
            "password": self.server.password,
            "query": dict(self.server.parameters),
            "rel": "postgresql",
        }

    def lag(self) -> float | None:
        with self._connected() as connection:
            return _lag(connection)

    @contextmanager
    def snapshot(self, longest_lag: float | None) -> Iterator[Snapshot]:
        with opened(self.server, self.database) as snapshot:
            if longest_lag is None:
                yield snapshot
                return
            with self._connected() as connection:
                snapshot.wait_while_lagging = LagWatch(lambda: _lag(connection), longest_lag).wait
                yield snapshot

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self.server.connect(self.database, {"default_transaction_read_only": "on"}) as connection:
            yield connection


def _lag(connection: Connection) -> float | None:
    """Seconds: of a standby behind its primary, of a primary's slowest standby behind it. None where it may not be told."""
    with scrubbed("asking how far replication is behind"):
        (behind,) = connection.execute(_BEHIND).fetchone() or (None,)
        if behind is not None:
            return float(behind)
        hidden, slowest = connection.execute(_FOLLOWERS).fetchone() or (1, 0)
        return None if hidden else float(slowest)
    raise AssertionError
