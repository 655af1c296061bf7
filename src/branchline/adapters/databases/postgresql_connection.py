"""A PostgreSQL server's address, connections to it, and its errors without the values that they like to quote."""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from socket import SHUT_RDWR, socket
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from branchline.adapters.databases.clients import Client, Clients
from branchline.errors import BadInput, Failed, Refused, Unavailable

logging.getLogger("psycopg").addFilter(lambda _: False)
"""Of an error that comes while another ends a transaction or a copy it logs all that the server says, values too."""
Connection = psycopg.Connection[TupleRow]
CONNECT_SECONDS = 10
SENT_AT_ONCE = 2**20
"""Bytes of rows, which libpq holds in memory until they are sent."""
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
}
_GONE = ("08", "57P", "53300", "55P03", "40001")
"""SQLSTATEs of servers that went away, are stopping, have no connection left, or whose tables others hold locked."""
_DENIED = ("28", "3D")
UNTOLD = "?????"
"""In place of the SQLSTATE of an error that a client program tells in words."""
_NAME = r"\"[^\"\n]{1,130}\""
_SPEAKS_OF_SCHEMA_ONLY = re.compile(
    "|".join(
        (
            rf"could not create unique index {_NAME}",
            rf"permission denied for \w+( \w+)? ({_NAME}|[\w.]{{1,130}})",
            rf"(relation|function|type|schema|extension|column|role|database) {_NAME} (does not exist|already exists)",
            rf"column {_NAME} of relation {_NAME} does not exist",
            rf"extension {_NAME} is not available",
            rf"constraint {_NAME} for (table|relation) {_NAME} (does not exist|already exists)",
            r"must be superuser to [\w ]+",
            r"only superuser can [\w ]+",
            rf"permission denied to set parameter {_NAME}",
            rf"check constraint {_NAME} of relation {_NAME} is violated by some row",
            rf"insert or update on table {_NAME} violates foreign key constraint {_NAME}",
            rf"must be \w+ of [\w ]+ ({_NAME}|[\w.]{{1,130}})",
            r"server version: [\d.]+[^;\n]*; pg_dump version: [\d.]+",
            r"query would be affected by row-level security policy for table " + _NAME,
            r"canceling statement due to (lock timeout|conflict with recovery)",
            r"deadlock detected",
        )
    )
)
"""Looked for at the beginning of a message only: further on, it may quote a value."""
_REFUSALS = (
    (r"authentication failed|no password supplied", "28P01", "the password or the account is wrong"),
    (r"role \"[^\"]*\" (does not exist|is not permitted to log in)", "28000", "the account may not log in"),
    (
        r"no pg_hba.conf entry|permission denied for database",
        "28000",
        "the server does not let the account in",
    ),
    (r"database \"[^\"]*\" does not exist", "3D000", "there is no such database"),
    (r"too many connections|remaining connection slots|too many clients", "53300", "no connection is left"),
    (r"the database system is", "57P03", "the server is starting or stopping"),
)
"""What libpq says when a connection does not come about: a SQLSTATE is told to nobody then."""


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """Where a server is and who connects. `parameters`: further ones of libpq, such as sslmode."""

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_url(cls, url: str) -> tuple[Self, str]:
        """The server and the database of a postgresql:// URL. Raises BadInput, without the URL in its words."""
        given: dict[str, Any] = {}
        with suppress(psycopg.Error):
            given = {
                key: str(value)
                for key, value in conninfo_to_dict(
                    re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", url)
                ).items()
            }
        unknown = given.keys() - _ENVIRONMENT.keys() - {"dbname"}
        if not given or unknown or not given.get("user"):
            about = (
                f"it has {', '.join(sorted(unknown))}"
                if unknown
                else "it names no user"
                if given
                else "it is no URL"
            )
            raise BadInput(
                521,
                f"That does not say where a PostgreSQL database is: {about}.",
                "postgresql://user@host:5432/database",
            )
        plain = {key: given.pop(key, "") for key in ("host", "port", "user", "password", "dbname")}
        if "," in plain["host"] or not re.fullmatch(r"\d{0,5}", plain["port"]):
            what = "That does not say where a PostgreSQL database is: one host and one port are wanted."
            raise BadInput(521, what, "postgresql://user@host:5432/database")
        server = cls(
            plain["host"] or "127.0.0.1", int(plain["port"] or 5432), plain["user"], plain["password"], given
        )
        return server, plain["dbname"] or plain["user"]

    def as_user(self, user: str, password: str) -> Self:
        return replace(self, user=user, password=password)

    def connect(self, database: str, settings: Mapping[str, str] | None = None) -> Connection:
        """A connection that commits each statement. Raises Unavailable or Refused."""
        options = " ".join(f"-c {name}={_optioned(value)}" for name, value in (settings or {}).items())
        with scrubbed(f"connecting to {self.host}:{self.port} as {self.user}"), _none_half_open():
            return psycopg.connect(
                make_conninfo(
                    dbname=database,
                    options=options,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="branchline",
                    client_encoding="utf8",
                    **self._parameters(),
                ),
                autocommit=True,
            )
        raise AssertionError

    def environment(self, database: str, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """By which libpq's own programs connect: a password is on no command line."""
        options = " ".join(f"-c {name}={_optioned(value)}" for name, value in (settings or {}).items())
        given = {_ENVIRONMENT[key]: str(value) for key, value in self._parameters().items()}
        return {**given, "PGDATABASE": database, "PGOPTIONS": options, "PGCLIENTENCODING": "UTF8",
                "PGAPPNAME": "branchline", "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS)}  # fmt: skip

    def _parameters(self) -> dict[str, Any]:
        given = {**self.parameters, "host": self.host, "port": self.port, "user": self.user}
        return {**given, "password": self.password} if self.password else given


@dataclass(frozen=True, eq=False, slots=True)
class Session:
    """A connection that `Clients` can interrupt."""

    connection: Connection

    def interrupt(self) -> None:
        """As if the server had gone."""
        with suppress(psycopg.Error, OSError), socket(fileno=os.dup(self.connection.fileno())) as end:
            end.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self.connection.close()


class Sessions:
    """Connections for one small job after another: each is used again by whoever comes when a job is done with it."""

    def __init__(self, clients: Clients, connect: Callable[[], Connection]) -> None:
        self._clients, self._connect = clients, connect
        self._open = ExitStack()
        self._unused: SimpleQueue[Connection] = SimpleQueue()

    def close(self) -> None:
        """All that nobody uses any more, those too that a job has failed with."""
        self._open.close()

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """From any thread."""
        try:
            connection = self._unused.get_nowait()
        except Empty:
            connection = self._connect()
            self._open.enter_context(self._clients.running(Session(connection)))
        yield connection
        self._unused.put(connection)


class _CutShort(Exception):  # noqa: N818 - the server is told this name, and nothing of why
    pass


def copy_in(target: Connection, statement: str, lines: Iterable[bytes | memoryview]) -> int:
    """Rows as COPY reads them, in pieces that end anywhere; gives their number. Raises what making the pieces raises, of which the
    server, which would log it, hears nothing.
    """
    failure: BaseException | None = None
    with target.cursor() as cursor:
        with suppress(_CutShort), cursor.copy(statement) as copy:
            try:
                for piece in lines:
                    for first in range(0, len(piece), SENT_AT_ONCE):
                        copy.write(piece[first : first + SENT_AT_ONCE])
            except psycopg.Error:
                raise
            except BaseException as error:  # noqa: BLE001 - raised below
                failure = error
                raise _CutShort from None
        if failure is not None:
            raise failure
        return cursor.rowcount


@contextmanager
def _none_half_open() -> Iterator[None]:
    """Closes what was being opened when it fails or is interrupted, and not only when the error is forgotten: a session that waits for
    our password hears nobody, and DROP DATABASE waits for every session to hear it.
    """
    try:
        yield
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise


def identifier(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


@contextmanager
def scrubbed(doing: str, number: int = 524, statement: str | None = None) -> Iterator[None]:
    """Raises Failed, Refused or Unavailable in place of a driver's error: no value in it, and the original not chained to it. Of a
    `statement` that somebody wrote only names that are in it are told: it may have made others out of values.
    """
    try:
        yield
    except psycopg.Error as error:
        failure = _told(error, doing, number, statement)
        try:
            raise failure from None
        finally:
            failure.__context__ = None


def _told(
    error: psycopg.Error, doing: str, number: int, statement: str | None
) -> Failed | Refused | Unavailable:
    state = error.sqlstate or ("" if isinstance(error, psycopg.OperationalError) else UNTOLD)
    if not state and (unconnected := _unconnected(str(error))):
        return failure(*unconnected, doing, number)
    diagnosis = error.diag
    named = [
        f"{what} {name}"
        for what, name in (
            ("table", diagnosis.table_name),
            ("column", diagnosis.column_name),
            ("constraint", diagnosis.constraint_name),
        )
        if name
    ]
    words = schema_words(diagnosis.message_primary or "")
    if statement is not None and any(name not in statement for name in re.findall(r'"([^"]*)"', words)):
        words = ""
    said = words or " ".join(filter(None, [_kind(error), *named]))
    return failure(state, said, doing, number)


def failure(state: str, said: str, doing: str, number: int = 524) -> Failed | Refused | Unavailable:
    """By SQLSTATE; an empty one is a connection that was lost, or never came about."""
    shown = f" ({state})" if state not in ("", UNTOLD) else ""
    about = f"{doing[:1].upper()}{doing[1:]}: {said}{shown}."
    if state.startswith(_DENIED):
        return Refused(522, about, "Correct the account, its password or the database's name.")
    if not state or state.startswith(_GONE):
        return Unavailable(
            523, about, "See that the server runs and answers, then start again; nothing was switched."
        )
    return Failed(number, about, "Correct what it names, then start again; nothing was switched.")


def schema_words(text: str) -> str:
    """The part of a message that speaks of the schema only; empty where it may quote a value."""
    if re.match(r"could not [^\n]*: No space left on device", text):
        return "no space is left on the server's disk"
    found = _SPEAKS_OF_SCHEMA_ONLY.match(text)
    return found.group(0) if found else ""


def _unconnected(said: str) -> tuple[str, str] | None:
    """SQLSTATE and reason of a connection that did not come about."""
    return next(((state, why) for pattern, state, why in _REFUSALS if re.search(pattern, said)), None)


def refused(client: Client, doing: str) -> Failed | Refused | Unavailable | None:
    """What a client program of PostgreSQL ended with, without values; None where it succeeded."""
    said = client.refusal()
    if said is None:
        return None
    if state := re.search(r"^(?:psql: )?(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})$", said, re.MULTILINE):
        return failure(state.group(1), _named(state.group(1)), doing)
    if unconnected := _unconnected(said):
        return failure(*unconnected, doing)
    if re.search(r"connection to server|server closed the connection|due to administrator command", said):
        return failure("", "the connection was lost", doing)
    messages = re.findall(r"^pg_\w+: (?:error|detail): (?:.*?(?:ERROR|FATAL): +)?(.*)$", said, re.MULTILINE)
    words = next(filter(None, map(schema_words, messages)), "")
    return failure(
        UNTOLD,
        words or "the client program failed; what it said is withheld, for it may quote a value",
        doing,
    )


def _kind(error: psycopg.Error) -> str:
    if not error.sqlstate:
        return (
            "the server does not answer"
            if isinstance(error, psycopg.OperationalError)
            else type(error).__name__
        )
    return _named(error.sqlstate)


def _named(state: str) -> str:
    """`unique violation` for 23505."""
    try:
        name = psycopg.errors.lookup(state).__name__
    except KeyError:
        return "error"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _optioned(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
