"""State on a PostgreSQL server, for several machines: writers take turns by an advisory lock, as they do on SQLite.

A process that dies in a transaction loses its connection, and the server undoes what it had written. One that is
stopped, or whose machine is gone, is cut off by the server after half of the time that others wait for their turn.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from branchline.errors import BadInput, BranchlineError, Failed, Unavailable

LOCK = int.from_bytes(b"branchln", "big")
"""The advisory lock of whoever writes. Such locks are a database's own: two states on one server do not meet."""

CONNECTION = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "fallback_application_name": "branchline",
}
"""libpq's parameters, where the URL does not give its own: a server that vanished is noticed within a minute."""

_PREPARE = """
SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)
"""

_BUSY = ("55P03", "57014", "40")  # lock_not_available, query_canceled, transaction_rollback
_AWAY = ("08", "57P", "25P03", "53300")  # connection, shutdown, idle_in_transaction_session_timeout, too_many
_NOT_WRITABLE = ("42501", "25006", "0A000")  # insufficient_privilege, read_only_sql_transaction, a standby
_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted
_NOT_UNDERSTOOD = ("connection option", "configuration parameter")
_NOT_LET_IN = ("authentication failed", "password", "pg_hba.conf", "does not exist", "ermission denied")
"""Words of a refusal to connect, which has no SQLSTATE in libpq. In another language it counts as no answer."""


class PostgresqlEngine:
    def __init__(self, url: URL, busy_seconds: float) -> None:
        self._place = _place(url)
        self._busy_seconds = busy_seconds
        self._secrets = _secrets(url)
        self.engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={key: value for key, value in CONNECTION.items() if key not in url.query},
        )
        self._readers = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        event.listen(self.engine, "connect", self._prepare, insert=True)

    def begin_read(self) -> Session:
        return Session(self._readers)

    def begin_write(self) -> Session:
        """READ COMMITTED, so that what is read after the wait for the lock is what the writer before wrote."""
        session = Session(self.engine)
        try:
            session.execute(select(func.pg_advisory_xact_lock(LOCK)))
        except BaseException:
            session.close()
            raise
        return session

    def explain(self, error: DBAPIError) -> BranchlineError:
        code = getattr(error.orig, "sqlstate", None) or ""
        reason = self._reason(error)
        if code.startswith(_BUSY):
            return Unavailable(
                301,
                f"The state database {self._place} stayed locked for {self._busy_seconds} seconds: {reason}.",
                "try again",
            )
        if code.startswith(_NOT_WRITABLE):
            return Failed(
                302,
                f"The state database {self._place} cannot be written: {reason}.",
                "let its user own the database: docs/how-to/use-postgresql.md",
            )
        if code.startswith(_DAMAGED):
            return Failed(
                303,
                f"The state database {self._place} is damaged: {reason}.",
                "restore it from a backup: docs/how-to/back-up-branchline.md",
            )
        if code and not code.startswith(_AWAY):
            return Failed(
                304, f"The state database {self._place} failed: {reason}.", "look at the server's log"
            )
        return self._not_connected(reason)

    def _not_connected(self, reason: str) -> BranchlineError:
        if any(words in reason for words in _NOT_UNDERSTOOD):
            return BadInput(
                308,
                f"The URL of the state database {self._place} makes no sense: {reason}.",
                "correct BRANCHLINE_STATE_URL, or what state_url names",
            )
        if any(word in reason for word in _NOT_LET_IN):
            return BadInput(
                307,
                f"The state database {self._place} does not let Branchline in: {reason}.",
                "correct BRANCHLINE_STATE_URL, or make the database: docs/how-to/use-postgresql.md",
            )
        return Unavailable(
            306,
            f"The state database {self._place} does not answer: {reason}.",
            "try again when the server runs: pg_isready",
        )

    def _reason(self, error: DBAPIError) -> str:
        """Its first line only: the server's details quote rows."""
        diagnosis = getattr(error.orig, "diag", None)
        said = (diagnosis and diagnosis.message_primary) or str(error.orig)
        reason = said.strip().partition("\n")[0].rpartition("FATAL: ")[2].strip().rstrip(".")
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return reason

    def _prepare(self, connection: Any, _record: Any) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise BadInput(
                307,
                f"The state database {self._place} has the encoding {encoding}, not UTF8.",
                "make another one: docs/how-to/use-postgresql.md",
            )
        connection.autocommit = True
        wait = int(self._busy_seconds * 1000)
        connection.execute(_PREPARE, (f"{wait}ms", f"{wait // 2}ms"))
        connection.autocommit = False


def _place(url: URL) -> str:
    """Which one, without whose: no user and no password."""
    host = url.host or url.query.get("host") or "this machine"
    host = host if isinstance(host, str) else ", ".join(host)
    return f"{url.database or 'of its user'} on {host}{f':{url.port}' if url.port else ''}"


def _secrets(url: URL) -> frozenset[str]:
    """The password as it is and as URLs write it."""
    given = [url.password, *(url.query.get(key) for key in ("password", "sslpassword"))]
    known = [str(each) for each in given if each]
    return frozenset(known) | {quote(each, safe="") for each in known} | {quote_plus(each) for each in known}
