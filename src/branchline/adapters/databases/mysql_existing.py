"""One database of a MariaDB or MySQL server, whoever made it: what it is, and how far behind its replication."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import pymysql

from branchline.adapters.databases.mysql_connection import (
    MysqlServer,
    Session,
    identity_of,
    may_write,
    scrubbed,
)
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.adapters.databases.replication_lag import LagWatch
from branchline.errors import BadInput
from branchline.ports import Snapshot

_ASKED = ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
_BEHIND = ("Seconds_Behind_Source", "Seconds_Behind_Master")


class MysqlExisting:
    """Implements `branchline.adapters.databases.adopted.Existing`; the `database` that is named, else the URL's."""

    def __init__(self, url: str, database: str | None = None) -> None:
        self.server = MysqlServer.from_url(url)
        self._named = database or unquote(urlsplit(url).path.strip("/"))

    @property
    def database(self) -> str:
        """Raises BadInput where the URL names none."""
        if not self._named:
            raise BadInput(521, "That does not say which database it is.", "mysql://user@host:3306/database")
        return self._named

    def version(self) -> str:
        with self._session(self._named) as session:
            found = re.match(r"\d+\.\d+", str(session.one("SELECT VERSION()")))
            return found.group(0) if found else ""
        raise AssertionError

    def identity(self) -> frozenset[str]:
        with self._session(self.database) as session:
            return frozenset({identity_of(session)})
        raise AssertionError

    def writable(self) -> Sequence[str]:
        with self._session(self.database) as session:
            right = may_write(session)
            return [f"it has {right}"] if right else []
        raise AssertionError

    def size(self) -> int:
        with self._session(self.database) as session:
            return int(
                session.one(
                    "SELECT IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES"
                    " WHERE TABLE_SCHEMA = DATABASE()"
                )
            )
        raise AssertionError

    def relationship(self) -> Mapping[str, object]:
        told: dict[str, object] = {
            "scheme": "mysql",
            "host": self.server.host,
            "port": self.server.port,
            "username": self.server.user,
            "password": self.server.password,
            "path": self.database,
            "rel": "mysql",
        }
        return {**told, "socket": self.server.socket} if self.server.socket else told

    def lag(self) -> float | None:
        with self._session(self.database) as session:
            return _lag(session)
        raise AssertionError

    @contextmanager
    def snapshot(self, longest_lag: float | None) -> Iterator[Snapshot]:
        with opened(self.server, self.database) as snapshot:
            if longest_lag is None:
                yield snapshot
                return
            with self._session(self.database) as session:
                snapshot.wait_while_lagging = LagWatch(lambda: _lag(session), longest_lag).wait
                yield snapshot

    @contextmanager
    def _session(self, database: str) -> Iterator[Session]:
        session = Session(self.server, database)
        try:
            with scrubbed(f"asking {self.server.address}"):
                yield session
        finally:
            session.close()


def _lag(session: Session) -> float | None:
    """Seconds that a replica is behind. None where the account may not be told, and of a server that is no replica: it does
    not know how far others are behind it.
    """
    for asked in _ASKED:
        try:
            with session.connection.cursor(pymysql.cursors.DictCursor) as cursor:
                cursor.execute(asked)
                row = cursor.fetchone()
        except pymysql.MySQLError:
            continue
        behind = next((row[name] for name in _BEHIND if name in row), None) if row else None
        return None if behind is None else float(behind)
    return None
