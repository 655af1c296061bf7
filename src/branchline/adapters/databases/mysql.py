"""MariaDB and MySQL: one service of one environment, its versions as databases `bl_<slug>_<version>` of one server.

An application is told the owner's account, and Branchline itself reads with another that can only read; both have rights
on this service's databases alone, and their passwords follow from a secret, so that nothing needs to be stored.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, values by `text`

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pymysql

from branchline.adapters.databases.mysql_connection import (
    MysqlServer,
    Session,
    code_of,
    identifier,
    scrubbed,
    text,
)
from branchline.adapters.databases.mysql_loader import MysqlLoader
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.errors import BadInput, Refused, Unavailable
from branchline.ports import Loader, Snapshot

LONGEST = 64
CONNECTIONS = 50
PATIENCE = 60
"""Seconds that a change waits for others."""
_USED_BEFORE = 3638
_ESCAPES = {"-": "_", "_": "$u", ".": "$d"}
_MEANT = {written: meant for meant, written in _ESCAPES.items()}


@dataclass(frozen=True)
class MysqlDatabase:
    """Implements `branchline.ports.Database`. `server` has an account that may create databases and accounts; `slug` is unique
    among all that use the server; `sessions` read at a time, and make one lock necessary when they are several.
    """

    server: MysqlServer
    slug: str
    secret: bytes = field(repr=False)
    connections: int = CONNECTIONS
    sessions: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]{1,24}", self.slug):
            raise ValueError(f"{self.slug!r} cannot be part of a database's name")

    @property
    def owner(self) -> str:
        """The application's account."""
        return f"bl_{self.slug}"

    @property
    def reader(self) -> str:
        """The account that reads versions for Branchline."""
        return f"bl_{self.slug}_ro"

    def create(self, name: str) -> None:
        database = self._named(name)
        with self._changing(f"creating {name}") as session:
            taken = name in self._names(session) or _there(session, database)
            if not taken:
                self._let_in(session, database)
                session.run(f"CREATE DATABASE {identifier(database)} CHARACTER SET utf8mb4")
        if taken:
            raise Refused(
                513, f"The database version {name} exists already.", "Give the new version a name of its own."
            )

    def clone(self, source: str, name: str) -> None:
        self._existing(source)
        self.create(name)
        with self.snapshot(source) as origin, self.loader(name) as target:
            target.begin(origin)
            for table, found in origin.schema().tables.items():
                if not found.unsupported:
                    target.copy(table, (), lambda block: block.frame)
            target.finish()

    def remove(self, name: str) -> None:
        database = self._named(name)
        with self._changing(f"removing {name}") as session:
            if name not in self._names(session):
                return
            for (number,) in session.rows(
                f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = {text(database)} AND ID <> CONNECTION_ID()"
            ):
                _kill(session, number)
            session.run(f"DROP USER IF EXISTS {_account(_once(database))}")
            session.run(f"DROP DATABASE {identifier(database)}")
            self._shut_out(session, database)

    def names(self) -> Sequence[str]:
        with self._administering("listing versions") as session:
            return self._names(session)
        raise AssertionError

    def size(self, name: str) -> int:
        database = self._existing(name)
        with self._administering(f"measuring {name}") as session:
            return int(
                session.one(
                    "SELECT IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES"
                    f" WHERE TABLE_SCHEMA = {text(database)}"
                )
            )
        raise AssertionError

    def relationship(self, name: str) -> Mapping[str, object]:
        told: dict[str, object] = {
            "scheme": "mysql",
            "host": self.server.host,
            "port": self.server.port,
            "username": self.owner,
            "password": self._password(self.owner),
            "path": self._named(name),
            "rel": "mysql",
        }
        return {**told, "socket": self.server.socket} if self.server.socket else told

    @contextmanager
    def snapshot(self, name: str) -> Iterator[Snapshot]:
        database = self._existing(name)
        with opened(self._as(self.reader), database, self.sessions, control=self.server) as snapshot:
            yield snapshot

    @contextmanager
    def loader(self, name: str) -> Iterator[Loader]:
        database = self._existing(name)
        once = replace(self.server, user=_once(database), password=secrets.token_hex(24))
        with self._administering(f"opening {name}") as session:
            filled = session.one(
                f"SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = {text(database)}"
                f" UNION SELECT 1 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {text(database)}"
            )
            takes = session.one("SELECT @@local_infile")
            if takes and not filled:
                session.run(f"DROP USER IF EXISTS {_account(once.user)}")
                session.run(f"CREATE USER {_account(once.user)} IDENTIFIED BY {_quoted(once.password)}")
                session.run(f"GRANT ALL PRIVILEGES ON {_granted(session, database)} TO {_account(once.user)}")
        if filled:
            raise Refused(
                513, f"The database version {name} is not empty.", "Give the new version a name of its own."
            )
        if not takes:
            what = f"The server at {self.server.address} takes no rows by LOAD DATA LOCAL: local_infile is off, as MySQL has it."
            raise Refused(530, what, "SET PERSIST local_infile = ON; or in its configuration.")
        loader = MysqlLoader(self.server, database, _account(self.owner), once)
        try:
            yield loader
        finally:
            loader.close()
            with self._administering(f"closing {name}") as session:
                session.run(f"DROP USER IF EXISTS {_account(once.user)}")

    def _let_in(self, session: Session, database: str) -> None:
        for account, right in ((self.owner, "ALL PRIVILEGES"), (self.reader, "SELECT, SHOW VIEW")):
            named, password = _account(account), _quoted(self._password(account))
            limit = f"WITH MAX_USER_CONNECTIONS {self.connections}"
            known = session.one(f"SELECT 1 FROM mysql.user WHERE User = {text(account)} AND Host = '%'")
            try:
                session.run(f"{'ALTER' if known else 'CREATE'} USER {named} IDENTIFIED BY {password} {limit}")
            except pymysql.MySQLError as error:
                if code_of(error) != _USED_BEFORE:  # MySQL's password_history: it is the same
                    raise
            session.run(f"GRANT {right} ON {_granted(session, database)} TO {named}")

    def _shut_out(self, session: Session, database: str) -> None:
        """Rights outlive a database; accounts are of no use without one."""
        left = self._names(session)
        for account in (self.owner, self.reader):
            if left:
                for (pattern,) in session.rows(f"SELECT Db FROM mysql.db WHERE User = {text(account)}"):
                    if _unescaped(pattern) == database:
                        session.run(
                            f"REVOKE ALL PRIVILEGES ON {identifier(pattern)}.* FROM {_account(account)}"
                        )
            else:
                session.run(f"DROP USER IF EXISTS {_account(account)}")

    def _names(self, session: Session) -> list[str]:
        """Those that are there and the owner has a right to: MySQL keeps no word of ours beside a database."""
        granted = session.rows(f"SELECT Db FROM mysql.db WHERE User = {text(self.owner)}")
        ours = {_unescaped(pattern) for (pattern,) in granted}
        there = session.rows("SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
        return sorted(self._version(database) for (database,) in there if database in ours)

    def _version(self, database: str) -> str:
        """`_named` the other way round."""
        written = database.removeprefix(f"bl_{self.slug}_")
        return re.sub(r"_|\$u|\$d", lambda found: _MEANT[found[0]], written)

    def _named(self, name: str) -> str:
        made = f"bl_{self.slug}_" + re.sub(r"[-_.]", lambda found: _ESCAPES[found[0]], name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or len(made) > LONGEST:
            raise BadInput(
                511, f"{name[:80]!r} cannot name a database version.", "Use a-z, 0-9, '.', '_' and '-'."
            )
        return made

    def _existing(self, name: str) -> str:
        database = self._named(name)
        if name not in self.names():
            raise BadInput(
                512, f"There is no database version {name}.", "See which there are: branchline status."
            )
        return database

    def _as(self, account: str) -> MysqlServer:
        return replace(self.server, user=account, password=self._password(account))

    def _password(self, account: str) -> str:
        return hmac.new(self.secret, account.encode(), hashlib.sha256).hexdigest()

    @contextmanager
    def _changing(self, doing: str) -> Iterator[Session]:
        """One at a time of a service, so that nobody takes accounts away while another lets them in."""
        with self._administering(doing) as session:
            if not session.one(f"SELECT GET_LOCK({text(f'branchline {self.slug}')}, {PATIENCE})"):
                raise Unavailable(524, f"{doing}: others are at it.", "Try again in a minute.")
            yield session

    @contextmanager
    def _administering(self, doing: str) -> Iterator[Session]:
        session = Session(self.server, settings=("sql_mode = ''", f"lock_wait_timeout = {PATIENCE}"))
        try:
            with scrubbed(doing):
                yield session
        finally:
            session.close()


def _there(session: Session, database: str) -> bool:
    """Whoever made it."""
    return bool(
        session.one(f"SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {text(database)}")
    )


def _kill(session: Session, number: int) -> None:
    try:
        session.run(f"KILL {number}")
    except pymysql.MySQLError as error:
        if code_of(error) != 1094:  # noqa: PLR2004 - it has gone by itself
            raise


def _granted(session: Session, database: str) -> str:
    """A database in a GRANT, where _ stands for any character, unless MySQL's partial_revokes has it stand for itself."""
    literal = session.rows("SHOW GLOBAL VARIABLES LIKE 'partial_revokes'")
    plain = bool(literal) and literal[0][1] == "ON"
    return identifier(database if plain else database.replace("_", r"\_")) + ".*"


def _unescaped(pattern: str) -> str:
    return pattern.replace(r"\_", "_")


def _once(database: str) -> str:
    """The account that fills one version and reaches nothing else; 32 characters are the longest that MySQL takes."""
    return f"bl_once_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def _account(name: str) -> str:
    return f"{identifier(name)}@`%`"


def _quoted(plain: str) -> str:
    """Where SQL takes no other form of text than quotes; for names and hexadecimal digits only."""
    return f"'{plain}'"
