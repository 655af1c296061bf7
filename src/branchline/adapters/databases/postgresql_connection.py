"""A PostgreSQL server's address, connections to it, and its errors without the values that they like to quote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow

from branchline.adapters.databases.clients import Client
from branchline.errors import BadInput, Failed, Refused, Unavailable

Connection = psycopg.Connection[TupleRow]
CONNECT_SECONDS = 10
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
_GONE = ("08", "57P", "53300")
"""SQLSTATEs of servers that went away, are stopping, or have no connection left."""
_DENIED = ("28", "3D")
_SPEAKS_OF_SCHEMA_ONLY = (
    r"could not create unique index \"[^\"]*\"",
    r"permission denied for \w+( \w+)? \S+",
    r"(relation|function|type|schema|extension|column|role|database) \S+ (does not exist|already exists)",
    r"could not access file \S+",
    r"extension \S+ is not available",
    r"check constraint \S+ of relation \S+ is violated by some row",
    r"insert or update on table \S+ violates foreign key constraint \S+",
    r"must be \w+ (of|to) [\w ]+",
    r"could not (write|extend|open|fsync) file \S+: No space left on device",
    r"server version: [\d.]+[^;]*; pg_dump version: \S+",
    r"cache lookup failed for \w+ \d+",
)


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
        server = cls(
            plain["host"] or "127.0.0.1", int(plain["port"] or 5432), plain["user"], plain["password"], given
        )
        return server, plain["dbname"] or plain["user"]

    def as_user(self, user: str, password: str) -> Self:
        return replace(self, user=user, password=password)

    def connect(self, database: str, settings: Mapping[str, str] | None = None) -> Connection:
        """A connection that commits each statement. Raises Unavailable or Refused."""
        options = " ".join(f"-c {name}={_optioned(value)}" for name, value in (settings or {}).items())
        with scrubbed(f"connecting to {self.host}:{self.port} as {self.user}"):
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


def identifier(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


@contextmanager
def scrubbed(doing: str, number: int = 524) -> Iterator[None]:
    """Raises Failed, Refused or Unavailable in place of a driver's error: no value in it, and the original not chained to it."""
    try:
        yield
    except psycopg.Error as error:
        failure = _told(error, doing, number)
        try:
            raise failure from None
        finally:
            failure.__context__ = None


def _told(error: psycopg.Error, doing: str, number: int) -> Failed | Refused | Unavailable:
    state = error.sqlstate or ""
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
    said = schema_words(diagnosis.message_primary or "") or " ".join(filter(None, [_kind(error), *named]))
    return failure(state, said, doing, number)


def failure(state: str, said: str, doing: str, number: int = 524) -> Failed | Refused | Unavailable:
    """By SQLSTATE; an empty one is a connection that was lost, or never came about."""
    about = f"{doing}: {said}{f' ({state})' if state else ''}."
    if state.startswith(_DENIED):
        return Refused(
            522, about, "correct the account, its password or the database's name in branchline.yaml"
        )
    if not state or state.startswith(_GONE):
        return Unavailable(
            523, about, "see that the server runs and answers, then start again; nothing was switched"
        )
    return Failed(number, about, "correct what it names, then start again; nothing was switched")


def schema_words(text: str) -> str:
    """The part of a message that speaks of the schema only; empty where it may quote a value."""
    found = next(filter(None, (re.search(pattern, text) for pattern in _SPEAKS_OF_SCHEMA_ONLY)), None)
    return found.group(0)[:200] if found else ""


def refused(client: Client, doing: str) -> Failed | Refused | Unavailable | None:
    """What a client program of PostgreSQL ended with, without values; None where it succeeded."""
    said = client.refusal()
    if said is None:
        return None
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5})\b", said)
    words = schema_words(said)
    if found:
        state = found.group(1)
        return failure(state, words or _named(state), doing)
    lost = re.search(
        r"connection to server|server closed the connection|could not connect|Connection refused|terminating",
        said,
    )
    if lost and not words:
        denied = "authentication failed" in said
        return failure(
            "28000" if denied else "",
            "the server does not let it in" if denied else "the connection was lost",
            doing,
        )
    return failure(
        "XX000",
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
