"""A PostgreSQL source's schema on its way into a new version, by pg_dump and pg_restore: what comes before the rows, and the rest.

It runs code of the source (functions in checks, indexes and views) as the version's own owner, who can do no more than the
application can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from subprocess import PIPE

from branchline.adapters.databases.clients import Client, Clients, in_memory
from branchline.adapters.databases.postgresql_connection import (
    Connection,
    PostgresqlServer,
    identifier,
    refused,
    scrubbed,
)
from branchline.adapters.databases.postgresql_locale import Locale, locale_of
from branchline.adapters.databases.postgresql_programs import program
from branchline.adapters.databases.postgresql_snapshot import PostgresqlSnapshot

WRITING = {
    "synchronous_commit": "off",
    "maintenance_work_mem": "256MB",
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "lc_monetary": "C",
    "xmloption": "content",
    "row_security": "off",
    "array_nulls": "on",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
"""Whatever an application's migration has set for its account. row_security off: where policies would hide rows from a statement of
`disarm:`, it is an error, not less done."""
WORTH_A_WORKER = "64MB"
"""Of a table whose indexes are built by several processes each. Tables are many and built beside each other: with up to 16 MB each,
without more processes took 305 ms where with them it took 323 (medians of 7)."""
LOCK_WAIT_MILLISECONDS = 10_000
_EXTENSION_IN_LIST = re.compile(r"\d+; (3079 \d+ |0 0 COMMENT - EXTENSION )")
_SCHEMA_IN_LIST = re.compile(r"\d+; 2615 (\d+) ")
_ATTACHED_IN_LIST = re.compile(r"\d+; 0 0 INDEX ATTACH ")
_REFERENCE_IN_LIST = re.compile(r"\d+; 2606 \d+ FK CONSTRAINT ")
_HIDING_IN_LIST = re.compile(r"\d+; \d+ \d+ ROW SECURITY ")
_LAST_IN_LIST = re.compile(r"\d+; \d+ \d+ (COMMENT|POLICY|ROW SECURITY) ")
"""Lines of `pg_restore --list` begin with a number and the object's catalog and oid in the source."""


class PostgresqlDefinitions:
    """Of one new version while it is filled. `admin` makes extensions, `owner` all else; `remake` makes the empty version again, with
    other rules for the order of its texts.
    """

    def __init__(
        self,
        admin: PostgresqlServer,
        owner: PostgresqlServer,
        database: str,
        remake: Callable[[Locale], None],
        jobs: int,
    ) -> None:
        self.admin, self.owner, self.database, self.jobs = admin, owner, database, jobs
        self._remake = remake
        self._clients = Clients()
        self._files = ExitStack()
        self._dump, self._wanted = (self._files.enter_context(in_memory(name)) for name in ("schema", "list"))
        self._beside = ThreadPoolExecutor(2, "schema")
        self._tables: Future[Sequence[str]]

    def close(self) -> None:
        self._clients.interrupt()
        self._beside.shutdown()
        self._files.close()

    def interrupt(self) -> None:
        self._clients.interrupt()

    def begin(self, source: PostgresqlSnapshot) -> None:
        """Begins to make all that comes before the rows."""
        self._tables = self._beside.submit(self._make_tables, source)

    def wait(self) -> None:
        """Until there are tables. Raises what ended their making."""
        self._tables.result()

    def complete(self) -> Future[None]:
        """Begins to make what comes after the rows."""
        return self._beside.submit(self._make_the_rest, self._tables.result())

    def _make_tables(self, source: PostgresqlSnapshot) -> Sequence[str]:
        """Gives what of the dump is to be restored."""
        dumped = self._beside.submit(self._dump_schema, source)
        with source.asking("reading the source's locale") as connection:
            wanted = locale_of(connection)
        made = self._prepared(source, wanted)
        dumped.result()
        entries = self._entries(source, made)
        self._restore("pre-data", entries)
        return entries

    def _dump_schema(self, source: PostgresqlSnapshot) -> None:
        self._run(
            "reading the schema",
            *(program("pg_dump"), "-Fc", "--schema-only", "--no-owner", "--no-acl", "--no-publications"),
            *("--no-subscriptions", "--no-tablespaces", "--no-sync", f"--snapshot={source.id}"),
            *(f"--lock-wait-timeout={LOCK_WAIT_MILLISECONDS}", f"--file={self._dump}"),
            environment=source.server.environment(source.database),
        )

    def _prepared(self, source: PostgresqlSnapshot, wanted: Locale) -> set[str]:
        """The new version with the source's locale and extensions; gives the schemas that are there now."""
        with scrubbed("looking at the new version"), self.admin.connect(self.database) as target:
            made = locale_of(target)
            if wanted == made:
                return self._extended(source, target)
        self._remake(wanted)
        with scrubbed("looking at the new version"), self.admin.connect(self.database) as target:
            return self._extended(source, target)
        raise AssertionError

    def _extended(self, source: PostgresqlSnapshot, target: Connection) -> set[str]:
        """The source's extensions, in the versions that this server has; only an administrator may make them all."""
        wanted = "SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY e.oid"
        listed = source.ask("looking for extensions", wanted)
        owner = identifier(self.owner.user)
        with scrubbed("making extensions"):
            for name, schema in listed:
                if schema not in ("public", "pg_catalog"):
                    target.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)} AUTHORIZATION {owner}")
                place = f"SCHEMA {identifier(schema)} " if schema != "pg_catalog" else ""
                target.execute(f"CREATE EXTENSION IF NOT EXISTS {identifier(name)} {place}CASCADE")
            return {name for (name,) in target.execute("SELECT nspname FROM pg_namespace").fetchall()}
        raise AssertionError

    def _entries(self, source: PostgresqlSnapshot, made: Collection[str]) -> Sequence[str]:
        """All of the dump but extensions, and schemas that are there: neither would be the owner's to make."""
        listed = self._run("reading the schema", program("pg_restore"), "--list", str(self._dump))
        there = source.ask("reading the schema", "SELECT oid, nspname FROM pg_namespace")
        oids = {int(oid) for oid, name in there if name in made}
        return [
            line
            for line in listed.split("\n")
            if not _EXTENSION_IN_LIST.match(line)
            and not ((found := _SCHEMA_IN_LIST.match(line)) and int(found.group(1)) in oids)
        ]

    def _make_the_rest(self, entries: Sequence[str]) -> None:
        """Several at a time, in an order that `pg_restore --jobs` has no rule for where partitions or row-level security want one.

        Proving a foreign key looks at all indexes of what it refers to, and waits for good for who attaches them one by one; those of
        partitions are named by what is there already; and rows that are hidden by then cannot be proved.
        """
        attached = any(_ATTACHED_IN_LIST.match(line) for line in entries)
        hiding = any(_HIDING_IN_LIST.match(line) for line in entries)
        references = [line for line in entries if _REFERENCE_IN_LIST.match(line)]
        if not references or not (attached or hiding):
            self._restore("post-data", entries, self.jobs + 1)
            return
        last = [line for line in entries if _LAST_IN_LIST.match(line)]
        later = {*references, *last}
        self._restore("post-data", [line for line in entries if line not in later], self.jobs + 1)
        self._restore("post-data", references, 1 if attached else self.jobs + 1)
        if last:
            self._restore("post-data", last)

    def _restore(self, section: str, entries: Sequence[str], at_once: int = 1) -> None:
        self._wanted.write_text("\n".join(entries))
        self._run(
            "making the schema",
            *(program("pg_restore"), "--exit-on-error", "--no-owner", "--no-acl"),
            *(f"--section={section}", f"--use-list={self._wanted}", f"--jobs={at_once}"),
            *(f"--dbname={self.database}", str(self._dump)),
            environment=self.owner.environment(
                self.database,
                {
                    **WRITING,
                    "max_parallel_maintenance_workers": str(self.jobs - 1),
                    "min_parallel_table_scan_size": WORTH_A_WORKER,
                },
            ),
        )

    def _run(self, doing: str, *command: str, environment: dict[str, str] | None = None) -> str:
        with self._clients.running(Client(command, environment or {}, stdout=PIPE)) as client:
            said = client.stdout.read().decode("utf-8", "replace")
            if failure := refused(client, doing):
                raise failure
        return said
