"""Filling a new PostgreSQL version from a snapshot so that the values of masked columns are written masked only.

Rows go from a psql that reads into a connection that writes: as they are where nothing is masked, in binary where each server reads that
alike, else as text through Polars, masked columns first, several blocks at a time. Statements of `disarm:` run as the version's own owner, who can do no more than
the application can.
"""

# ruff: noqa: S608 - names are quoted by `identifier`, conditions were probed

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import polars as pl

from branchline.adapters.databases.clients import Clients
from branchline.adapters.databases.postgresql_connection import (
    Connection,
    PostgresqlServer,
    Sessions,
    copy_in,
    identifier,
    refused,
    scrubbed,
)
from branchline.adapters.databases.postgresql_defaults import CARRIED, DEFAULTS, set_defaults
from branchline.adapters.databases.postgresql_definitions import WRITING, PostgresqlDefinitions
from branchline.adapters.databases.postgresql_locale import Locale
from branchline.adapters.databases.postgresql_programs import psql
from branchline.adapters.databases.postgresql_schema import same_in_binary
from branchline.adapters.databases.postgresql_snapshot import (
    READING,
    PostgresqlSnapshot,
    as_kind,
    opened,
)
from branchline.adapters.databases.text_rows import Fields, fields, write_rows
from branchline.domain.schema import Column
from branchline.overlap import several_ahead
from branchline.ports import Block, MaskBlock, Snapshot

MASKED_AT_ONCE = 2
"""Blocks of one table. One thread masks a block in somewhat more time than the server takes for its rows."""
_READABLE = ("text", "json", "integer")
_SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"""
_WAITING_LONG = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
"""While indexes are built; no server before 14 has that setting."""
_COMMITTED = "SELECT pg_logical_emit_message(true, 'branchline', 'filled')"
"""Something to commit: who waits until that is on disk has waited for all commits before it."""
_BLANK_PADDED = re.compile(r"character(\(\d+\))?$")
ONE_STATEMENT = True
"""Results in binary come by the protocol that takes one statement at a time."""
_ANALYZE = """
DO $$ DECLARE each regclass; BEGIN
  FOR each IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_'
  LOOP EXECUTE 'ANALYZE ' || each; COMMIT; END LOOP;
END $$"""
_VIEWS = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND {} ORDER BY c.oid"""


class PostgresqlLoader:
    """One new version while it is filled. `admin` makes extensions, `owner` all else, `reader` looks at the result;
    `remake` makes the empty version again, with other rules for the order of its texts.
    """

    def __init__(
        self,
        admin: PostgresqlServer,
        owner: PostgresqlServer,
        reader: PostgresqlServer,
        database: str,
        remake: Callable[[Locale], None],
        jobs: int | None = None,
    ) -> None:
        self.owner, self.reader, self.database = owner, reader, database
        self.jobs = jobs or max(2, os.cpu_count() or 2)
        self.source: PostgresqlSnapshot | None = None
        self._clients = Clients()
        self._writing = Sessions(self._clients, lambda: owner.connect(database, WRITING))
        self._definitions = PostgresqlDefinitions(admin, owner, database, remake, self.jobs)

    def close(self) -> None:
        self._clients.interrupt()
        self._writing.close()
        self._definitions.close()

    def stop(self) -> None:
        self._clients.interrupt()
        self._definitions.interrupt()
        if self.source is not None:
            self.source.stop()

    def begin(self, source: Snapshot) -> None:
        if not isinstance(source, PostgresqlSnapshot):
            raise TypeError("a PostgreSQL version is filled from a PostgreSQL snapshot")
        self.source = source
        self._definitions.begin(source)

    def copy(
        self, table: str, masked: Sequence[str], mask: MaskBlock, *, where: str = "", keep: str = ""
    ) -> int:
        source = self._source()
        columns = {column.name: column for column in source.table(table).stored}
        order = [columns[name] for name in [*masked, *(name for name in columns if name not in masked)]]
        names = [column.name for column in order]
        if not masked:
            form = "binary" if all(map(same_in_binary, order)) else "text"
            with closing(source.pieces(table, names, where, form)) as read:
                return self._written(table, names, read, form)

        def masked_lines(written: bytes) -> memoryview:
            rows = source.fields(table, names, keep, written)
            return write_rows(_masked(rows, order, len(masked), mask, keep=bool(keep)))

        with (
            closing(source.lines(table, names, where, keep)) as read,
            several_ahead(masked_lines, read, MASKED_AT_ONCE) as done,
        ):
            return self._written(table, names, done)

    def _written(
        self, table: str, names: Sequence[str], rows: Iterable[bytes | memoryview], form: str = "text"
    ) -> int:
        """In one transaction, once there are tables. Rows of a table that one transaction empties and fills are frozen at once."""
        self._definitions.wait()
        place = self._source().place(table)
        listed = ", ".join(map(identifier, names))
        with scrubbed(f"copying {table}"), self._writing.one() as target, target.transaction():
            if not place.partitioned:
                target.execute(f"TRUNCATE ONLY {place.sql}")
            frozen = "" if place.partitioned else ", FREEZE"
            return copy_in(target, f"COPY {place.sql} ({listed}) FROM STDIN (FORMAT {form}{frozen})", rows)
        raise AssertionError

    def finish(self, rebuild: Collection[str] = ()) -> None:  # noqa: ARG002 - nothing of its own to rebuild
        """Sequences are set while indexes are built."""
        source = self._source()
        self._writing.close()
        restored = self._definitions.complete()
        source.check_unchanged()
        with scrubbed("completing the copy"), self._connected(synchronous_commit="local") as target:
            target.execute(_WAITING_LONG)
            for schema, name in source.ask("reading sequences", _SEQUENCES):
                sequence = f"{identifier(schema)}.{identifier(name)}"
                (row,) = source.ask(
                    f"reading the sequence {name}", f"SELECT last_value, is_called FROM {sequence}"
                )
                target.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, *row))
            restored.result()
            defaults = source.ask("reading the database's settings", DEFAULTS, (None, list(CARRIED)))
            set_defaults(target, self.database, defaults)  # not before: whoever connects takes them over
            filled = set(source.ask("looking for views", _VIEWS.format("c.relispopulated")))
            target.execute("SET row_security = on")  # as when the source filled its views
            for schema, name in target.execute(_VIEWS.format("true")).fetchall():
                if (schema, name) in filled:
                    target.execute(f"REFRESH MATERIALIZED VIEW {identifier(schema)}.{identifier(name)}")
            target.execute(_COMMITTED)

    def count(self) -> Mapping[str, int]:
        """By the account that row-level security hides nothing from. Nothing else is done meanwhile."""
        source, rows = self._source(), dict[str, int]()
        counting = {**READING, "max_parallel_workers_per_gather": str(self.jobs)}
        with scrubbed("counting the copied rows"), self.reader.connect(self.database, counting) as copy:
            for table in source.schema().tables:
                count = f"SELECT count(*) FROM {source.place(table).rows}"
                ((rows[table],),) = copy.execute(count).fetchall()
        return rows

    def analyze(self) -> None:
        with self._clients.running(psql(self.owner, self.database, WRITING, [_ANALYZE])) as client:
            if failure := refused(client, "gathering statistics"):
                raise failure

    def execute(self, statement: str) -> None:
        with scrubbed("disarming", 508, statement), self._connected(synchronous_commit="local") as target:
            target.execute(statement, binary=ONE_STATEMENT)

    def answer(self, query: str) -> Sequence[Sequence[object]]:
        with scrubbed("asking an assertion", 508, query), self._connected() as target, target.transaction():
            target.execute("SET TRANSACTION READ ONLY")
            return target.execute(query, binary=ONE_STATEMENT).fetchmany(2)
        raise AssertionError

    def verify(self) -> Sequence[str]:
        """What is not proved by PostgreSQL having made it: keys and indexes that it calls not valid, and that are so in the source."""
        doubtful = (
            "SELECT n.nspname || '.' || c.relname || found FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN ("
            "  SELECT conrelid, ' has the unproved constraint ' || conname FROM pg_constraint WHERE NOT convalidated"
            "  UNION ALL SELECT indexrelid, ' is an unfinished index' FROM pg_index WHERE NOT indisvalid"
            ") AS doubt(oid, found) ON doubt.oid = c.oid ORDER BY 1"
        )
        with scrubbed("checking the copy"), self._connected() as target:
            there = {row[0] for row in self._source().ask("checking the source", doubtful)}
            return [row[0] for row in target.execute(doubtful).fetchall() if row[0] not in there]
        raise AssertionError

    @contextmanager
    def result(self) -> Iterator[Snapshot]:
        with opened(self.reader, self.database) as snapshot:
            yield snapshot

    @contextmanager
    def _connected(self, **settings: str) -> Iterator[Connection]:
        with self.owner.connect(self.database, {**WRITING, **settings}) as target:
            yield target

    def _source(self) -> PostgresqlSnapshot:
        assert self.source is not None, "begin comes first"
        return self.source


def _masked(
    rows: Fields, order: Sequence[Column], masked: int, mask: MaskBlock, *, keep: bool
) -> pl.DataFrame:
    """The first columns masked, as fields again; what a keep-list lets pass is as it was, to the byte."""
    secret, kept = order[:masked], order[masked:]
    passing = rows.frame.to_series(rows.frame.width - 1) == "t" if keep else None
    block = pl.DataFrame(
        [as_kind(_unpadded(rows.values(column.name), column), column.kind) for column in secret]
    )
    beside = pl.DataFrame([rows.values(column.name) for column in kept if column.kind in _READABLE])
    done = mask(Block(block, passing, None, beside))
    if done.columns != block.columns or done.height != block.height:
        raise AssertionError("the masked block has other rows or columns")
    written = fields(pl.DataFrame([_text(done[column.name], column) for column in secret]))
    if passing is not None and passing.any():
        written = pl.DataFrame(
            [rows.frame[each.name].zip_with(passing, each) for each in written.iter_columns()]
        )
    return written.hstack([rows.frame[column.name] for column in kept])


def _unpadded(values: pl.Series, column: Column) -> pl.Series:
    """What a char(n) means: blanks at its end are none of it."""
    return values.str.strip_chars_end(" ") if _BLANK_PADDED.match(column.declared) else values


def _text(masked: pl.Series, column: Column) -> pl.Series:
    if masked.dtype == pl.Binary and column.kind == "binary":
        written = pl.concat_str(pl.lit("\\x"), pl.lit(masked).bin.encode("hex"))
        return pl.select(written.alias(masked.name)).to_series()
    return masked.cast(pl.String)
