"""PostgreSQL: one service of an environment, its versions as databases `bl_<slug>_<version>`.

Whose databases they are is said by the role that owns them: `bl_<slug>`, made here. Its password and that of `bl_<slug>_ro`,
which reads, are derived from a secret: nothing needs to be kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psycopg

from branchline.adapters.databases.postgresql_connection import (
    Connection,
    PostgresqlServer,
    identifier,
    literal,
    scrubbed,
)
from branchline.adapters.databases.postgresql_defaults import CARRIED, DEFAULTS, set_defaults
from branchline.adapters.databases.postgresql_loader import PostgresqlLoader
from branchline.adapters.databases.postgresql_locale import Locale
from branchline.adapters.databases.postgresql_snapshot import opened
from branchline.domain.schema import Schema
from branchline.errors import BadInput, Refused
from branchline.ports import Loader, Snapshot

ENDING_MILLISECONDS = 30_000
CONNECTIONS, READERS = 100, 20
"""How many an application may have at once, and how many those who read."""
_MAINTENANCE = "postgres"
_SLUG = re.compile(r"[a-z0-9_]{1,24}")
_VERSION = re.compile(r"[a-z0-9][a-z0-9.-]{0,30}")
_OWN_DATABASES = """
SELECT d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
WHERE r.rolname = %s AND starts_with(d.datname, %s) ORDER BY 1"""

_IN_USE = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s AND backend_type IS DISTINCT FROM 'autovacuum worker')"""


_END_ITS_MAKING = """
SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND state = 'active' AND starts_with(query, %s)"""


class PostgresqlDatabase:
    """Implements `branchline.ports.Database`. `server`: an account that may create databases and roles; `slug`: a name of
    its own for each environment's service; `secret`: what passwords are derived from.
    """

    def __init__(self, server: PostgresqlServer, slug: str, secret: bytes, jobs: int | None = None) -> None:
        if not _SLUG.fullmatch(slug):
            raise ValueError("a slug is 1 to 24 of a-z, 0-9 and _")
        self.server, self.jobs = server, jobs
        self.owner, self.reader = f"bl_{slug}", f"bl_{slug}_ro"
        self._prefix = f"bl_{slug}_"
        self._secret = secret

    def create(self, name: str) -> None:
        database = self._database(name)
        with self._asking(f"making {database}") as connection:
            self._provision(connection)
            self._refuse_taken(connection, name)
            self._make(connection, database, "template0")

    def clone(self, source: str, name: str) -> None:
        """By CREATE DATABASE ... TEMPLATE where nobody is connected to the source, else by a copy of one moment."""
        origin, database = self._existing(source), self._database(name)
        with self._asking(f"cloning {source}") as connection:
            self._refuse_taken(connection, name)
            (busy,) = connection.execute(_IN_USE, (origin,)).fetchone() or (True,)
            if not busy:
                with suppress(psycopg.errors.ObjectInUse):
                    self._make(connection, database, origin)
                    defaults = connection.execute(DEFAULTS, (origin, list(CARRIED))).fetchall()
                    set_defaults(connection, database, defaults)
                    return
        with opened(self.server, origin) as snapshot:
            self._refuse_uncopied(source, snapshot.schema())
            with self._asking(f"cloning {source}") as connection:
                self._make(connection, database, "template0")
            with self.loader(name) as loader:
                loader.begin(snapshot)
                for table in snapshot.schema().tables:
                    loader.copy(table, (), _unmasked)
                loader.finish()
                loader.analyze()

    def remove(self, name: str) -> None:
        """With whoever is connected to it, and a process's making of it that outlived the process. With the last version
        its accounts go too.
        """
        database = self._database(name)
        with self._asking(f"removing {database}") as connection:
            connection.execute(
                _END_ITS_MAKING, (ENDING_MILLISECONDS, f"CREATE DATABASE {identifier(database)} ")
            )
            if database in self._all(connection):
                connection.execute(f"DROP DATABASE IF EXISTS {identifier(database)} WITH (FORCE)")
            if not self._all(connection):
                with suppress(psycopg.errors.DependentObjectsStillExist):
                    for account in (self.reader, self.owner):
                        connection.execute(f"DROP ROLE IF EXISTS {identifier(account)}")

    def names(self) -> Sequence[str]:
        with self._asking("listing databases") as connection:
            return [name.removeprefix(self._prefix) for name in self._all(connection)]
        raise AssertionError

    def size(self, name: str) -> int:
        database = self._existing(name)
        with self._asking(f"measuring {database}") as connection:
            (size,) = connection.execute("SELECT pg_database_size(%s)", (database,)).fetchone() or (0,)
            return int(size)
        raise AssertionError

    def relationship(self, name: str) -> Mapping[str, object]:
        return {
            "scheme": "pgsql",
            "host": self.server.host,
            "port": self.server.port,
            "path": self._database(name),
            "username": self.owner,
            "password": self.password(self.owner),
            "rel": "postgresql",
        }

    @contextmanager
    def snapshot(self, name: str) -> Iterator[Snapshot]:
        with opened(self._as(self.reader), self._existing(name)) as snapshot:
            yield snapshot

    @contextmanager
    def loader(self, name: str) -> Iterator[Loader]:
        database = self._existing(name)
        with scrubbed(f"opening {database}"), self.server.connect(database) as connection:
            full = connection.execute(
                "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast'))"
            ).fetchone()
        if full and full[0]:
            raise Refused(
                513, f"The database version {name} is not empty.", "Give the new version a name of its own."
            )
        loader = PostgresqlLoader(
            self.server,
            self._as(self.owner),
            self._as(self.reader),
            database,
            partial(self._remake, database),
            self.jobs,
        )
        try:
            yield loader
        finally:
            loader.close()

    def password(self, account: str) -> str:
        """Of one of its two accounts."""
        return hmac.new(self._secret, account.encode(), hashlib.sha256).hexdigest()[:40]

    def _verifier(self, connection: Connection, account: str) -> str:
        """Of its password: what a server may write into its log."""
        secret = self.password(account).encode()
        return connection.pgconn.encrypt_password(secret, account.encode(), b"scram-sha-256").decode()

    def _as(self, account: str) -> PostgresqlServer:
        return self.server.as_user(account, self.password(account))

    def _provision(self, connection: Connection) -> None:
        """The two accounts, with the passwords they should have, as verifiers. The reader sees all rows, where that can be granted."""
        for account, limit in ((self.owner, CONNECTIONS), (self.reader, READERS)):
            exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (account,)).fetchone()
            verb = "CREATE" if exists is None else "ALTER"
            connection.execute(
                f"{verb} ROLE {identifier(account)} LOGIN"
                f" CONNECTION LIMIT {limit} PASSWORD {literal(self._verifier(connection, account))}"
            )
        connection.execute(f"GRANT {identifier(self.owner)} TO CURRENT_USER")
        connection.execute(f"GRANT pg_read_all_data TO {identifier(self.reader)}")
        connection.execute(f"ALTER ROLE {identifier(self.reader)} SET default_transaction_read_only = on")
        superuser = "SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper"
        if connection.execute(superuser).fetchone() is not None:
            connection.execute(f"ALTER ROLE {identifier(self.reader)} BYPASSRLS")

    def _make(self, connection: Connection, database: str, template: str, further: str = "") -> None:
        owned, named = identifier(self.owner), identifier(database)
        connection.execute(f"CREATE DATABASE {named} TEMPLATE {identifier(template)} OWNER {owned} {further}")
        connection.execute(f"REVOKE ALL ON DATABASE {named} FROM PUBLIC")
        connection.execute(f"GRANT CONNECT ON DATABASE {named} TO {identifier(self.reader)}")

    def _remake(self, database: str, locale: Locale) -> None:
        with self._asking(f"making {database}") as connection:
            connection.execute(f"DROP DATABASE {identifier(database)} WITH (FORCE)")
            self._make(connection, database, "template0", locale.sql)

    def _refuse_uncopied(self, source: str, schema: Schema) -> None:
        """What a copy of rows would leave out."""
        gaps = [f"{name}: {table.unsupported}" for name, table in schema.tables.items() if table.unsupported]
        if gaps := [*schema.problems, *gaps]:
            what = f"{source} cannot be cloned while it is in use: {'; '.join(gaps)}."
            raise Refused(534, what, "Stop what is connected to it, then start again.")

    def _refuse_taken(self, connection: Connection, name: str) -> None:
        taken = connection.execute(
            "SELECT FROM pg_database WHERE datname = %s", (self._database(name),)
        ).fetchone()
        if taken is not None:
            raise Refused(
                513, f"The database version {name} exists already.", "Give the new version a name of its own."
            )

    def _existing(self, name: str) -> str:
        database = self._database(name)
        with self._asking(f"looking for {database}") as connection:
            if database not in self._all(connection):
                raise BadInput(
                    512, f"There is no database version {name}.", "See which there are: branchline status."
                )
        return database

    def _all(self, connection: Connection) -> list[str]:
        found: list[tuple[Any, ...]] = connection.execute(
            _OWN_DATABASES, (self.owner, self._prefix)
        ).fetchall()
        return [row[0] for row in found]

    def _database(self, name: str) -> str:
        if not _VERSION.fullmatch(name):
            raise BadInput(
                511, f"{name[:80]!r} cannot name a database version.", "Use a-z, 0-9, '.', '_' and '-'."
            )
        return self._prefix + name

    @contextmanager
    def _asking(self, doing: str) -> Iterator[Connection]:
        with scrubbed(doing), self.server.connect(_MAINTENANCE) as connection:
            yield connection


def _unmasked(_block: object) -> Any:
    raise AssertionError("a clone masks nothing")
