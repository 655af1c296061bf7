"""What of a PostgreSQL database arrives in its copy: all of it, but for what was masked."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from branchline.adapters.databases.postgresql_snapshot import program
from branchline.sanitize.report import SyncReport
from tests.workshop.postgres import Server
from tests.workshop.postgresql_bench import PostgresqlBench, bench_on

pytestmark = pytest.mark.xdist_group("postgresql_faithful")
RICH = Path(__file__).parents[1] / "data" / "postgresql" / "rich.sql"
MASKED = {"everything": {"t": "text", "ci": "token", "u": "token", "ip": "ip", "i2": "token"},
          "one_column": {"t": "text"}, "changed": {"b": "token"}, "Select": {"from": "token"}, "measured": {"place": "city"},
          "capital": {"state": "null"}}  # fmt: skip
TABLES = """
SELECT c.oid::regclass::text, c.relispartition, array_agg(quote_ident(a.attname) ORDER BY a.attname),
  coalesce((SELECT array_agg(quote_ident(k.attname)) FROM pg_index i JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY(i.indkey)
            WHERE i.indrelid = c.oid AND i.indisprimary), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND (c.relkind = 'r' OR c.relispopulated)
GROUP BY c.oid ORDER BY 1"""


def checksums(bench: PostgresqlBench, version: str) -> dict[str, dict[str, str]]:
    """Of each column of each table, partitions by themselves, its rows in the order of their key, or of all they hold."""
    found = {}
    for table, _, columns, key in bench.read(version, TABLES):
        order = ", ".join(f"{column}::text" for column in key) or "t::text"
        sums = ", ".join(
            f"""md5(string_agg(coalesce(md5({column}::text), 'NULL'), ',' ORDER BY ({order}) COLLATE "C"))"""
            if not key or len(key) == 1
            else f"md5(string_agg(coalesce(md5({column}::text), 'NULL'), ',' ORDER BY ({order})))"
            for column in columns
        )
        ((count, *values),) = bench.read(version, f"SELECT count(*)::text, {sums} FROM ONLY {table} AS t")
        found[table] = {"count": count, **dict(zip(columns, values, strict=True))}
    return found


def definition(bench: PostgresqlBench, version: str) -> list[str]:
    """All that pg_dump says of a schema, without comments about when and whose."""
    said = subprocess.run(
        [program("pg_dump"), "--schema-only", "--no-owner"],
        env=bench.admin.environment(bench.physical(version)),
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [line for line in said.split("\n") if not re.match(r"-- |\\(un)?restrict ", line)]


def policy(bench: PostgresqlBench, masks: dict[str, dict[str, str]]) -> str:
    """Keeps all but these."""
    with bench.database.snapshot("one") as source:
        tables = source.schema().tables
    chosen = {
        name: {"columns": {c.name: masks.get(name, {}).get(c.name, "keep") for c in table.stored}}
        for name, table in tables.items()
    }
    return json.dumps({"tables": chosen}, ensure_ascii=False)


@pytest.fixture(scope="module")
def bench(postgres: Server) -> Iterator[PostgresqlBench]:
    with bench_on(postgres) as made:
        made.database.create("one")
        with made.connection("one") as connection:
            connection.autocommit = True
            connection.execute(RICH.read_bytes())
        yield made


@pytest.fixture(scope="module")
def kept(bench: PostgresqlBench) -> SyncReport:
    return bench.sync(policy(bench, {}), target="kept")


@pytest.fixture(scope="module")
def masked(bench: PostgresqlBench) -> SyncReport:
    return bench.sync(policy(bench, MASKED), target="masked", scan=False)


def test_every_kept_value_of_every_table_arrives_to_the_byte(
    bench: PostgresqlBench, kept: SyncReport
) -> None:
    before, after = checksums(bench, "one"), checksums(bench, "kept")
    assert len(before) > 30
    assert after == before
    assert kept.leaks == 0


def test_the_schema_arrives_as_pg_dump_tells_it(bench: PostgresqlBench, kept: SyncReport) -> None:
    assert definition(bench, "kept") == definition(bench, "one")
