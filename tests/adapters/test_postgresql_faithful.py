"""What of a PostgreSQL database arrives in its copy: all of it, but for what was masked."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from branchline.adapters.databases import clients, postgresql_snapshot
from branchline.adapters.databases.postgresql_programs import program
from branchline.adapters.databases.postgresql_schema import same_in_binary
from branchline.errors import Refused
from branchline.sanitize.checking import check
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.report import SyncReport
from branchline.sanitize.suggest import preview, sample, suggest
from tests.workshop.postgres import Server
from tests.workshop.postgresql_bench import PostgresqlBench, bench_on

NONE = -1
RICH = Path(__file__).parents[1] / "data" / "postgresql" / "rich.sql"
MASKED = {"everything": {"t": "text", "ci": "token", "u": "token", "ip": "ip", "raw": "null"}, "one_column": {"t": "text"},
          "changed": {"b": "token"}, "Select": {"from": "token"}, "measured": {"place": "city"}, "capital": {"state": "null"},
          "booked": {"room": "token"}}  # fmt: skip
FOLLOWS = {"everything": {"made"}, "filled": {"place"}}
"""What is made from masked columns."""
TABLES = """
SELECT c.oid::regclass::text, array_agg(quote_ident(a.attname) ORDER BY a.attname),
  coalesce((SELECT array_agg(quote_ident(k.attname)) FROM pg_index i JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = ANY(i.indkey)
            WHERE i.indrelid = c.oid AND i.indisprimary), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND (c.relkind = 'r' OR c.relispopulated)
GROUP BY c.oid ORDER BY 1"""


def checksums(bench: PostgresqlBench, version: str, *, by_row: bool = True) -> dict[str, dict[str, str]]:
    """Of each column of each table, partitions by themselves, its rows in the order of their key; where there is none, of all
    they hold, or not `by_row`, of this column.
    """
    found = {}
    for table, columns, key in bench.read(version, TABLES):
        of_all = ", ".join(f"{column}::text" for column in key) or ("t::text" if by_row else "")
        sums = ", ".join(
            f"md5(string_agg(coalesce(md5({column}::text), 'NULL'), ',' ORDER BY ROW({of_all or f'{column}::text'})))"
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


def in_another_encoding(bench: PostgresqlBench, encoding: str) -> None:
    """The version `one`, whose texts are in the order of their bytes."""
    name, owner = bench.physical("one"), bench.database.owner
    with bench.admin.connect("postgres") as admin:
        admin.execute(
            f'CREATE DATABASE "{name}" OWNER {owner} TEMPLATE template0 ENCODING {encoding}'
            " LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc".encode()
        )


@pytest.fixture(scope="module", params=[NONE, postgresql_snapshot.READ_AT_ONCE], ids=["psql", "itself"])
def bench(postgres: Server, request: pytest.FixtureRequest) -> Iterator[PostgresqlBench]:
    """Small tables are read by programs, or by this process itself."""
    with pytest.MonkeyPatch.context() as patched, bench_on(postgres) as made:
        patched.setattr(postgresql_snapshot, "READ_AT_ONCE", request.param)
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
    """Each table in blocks of a few rows, several at a time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(clients, "PIPE_BYTES", 300)
        patched.setattr(clients, "BLOCK_BYTES", 300)
        return bench.sync(policy(bench, MASKED), target="masked", scan=False)


def test_every_kept_value_of_every_table_arrives_to_the_byte(
    bench: PostgresqlBench, kept: SyncReport
) -> None:
    before, after = checksums(bench, "one"), checksums(bench, "kept")
    assert len(before) >= 30
    assert after == before
    assert kept.leaks == 0


def test_rows_go_in_binary_where_all_types_are_the_same_on_each_server(bench: PostgresqlBench) -> None:
    with bench.database.snapshot("one") as source:
        tables = source.schema().tables
    same = {name: {c.name for c in table.stored if same_in_binary(c)} for name, table in tables.items()}
    assert same["in_binary"] == {column.name for column in tables["in_binary"].stored}
    assert same["everything"] == same["in_binary"] - {"ts0"} | {"same", "touched"}


def test_for_small_tables_no_program_is_started(
    postgresql_bench: PostgresqlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgresql_bench.database.create("one")
    for name in ("straight", "masked"):
        postgresql_bench.execute(
            "one", f"CREATE TABLE {name} (id int, v text); INSERT INTO {name} VALUES (1, 'Zebulon')"
        )
    monkeypatch.setattr(postgresql_snapshot, "psql", None)
    report = postgresql_bench.sync(policy(postgresql_bench, {"masked": {"v": "first_name"}}))
    assert {table.name: table.rows for table in report.tables} == {"straight": 1, "masked": 1}


def test_the_schema_arrives_as_pg_dump_tells_it(bench: PostgresqlBench, kept: SyncReport) -> None:
    assert definition(bench, "kept") == definition(bench, "one")


def test_what_is_not_masked_of_a_masked_table_arrives_to_the_byte(
    bench: PostgresqlBench, masked: SyncReport
) -> None:
    before, after = (checksums(bench, version, by_row=False) for version in ("one", "masked"))
    partitions = {"measured": [name for name in before if "measured_" in name]}
    for table, columns in [*MASKED.items(), *FOLLOWS.items()]:
        for name in [table, *partitions.get(table, [])]:
            for sums in (before, after):
                for column in columns:
                    sums.get(name, sums.get(f'"{name}"', {})).pop(
                        f'"{column}"' if column == "from" else column, ""
                    )
    assert after == before
    assert definition(bench, "masked") == definition(bench, "one")


def test_absent_and_empty_values_stay_so_and_a_text_that_looks_like_null_is_a_text(
    bench: PostgresqlBench, masked: SyncReport
) -> None:
    question = "SELECT id, t, ci, u::text, host(ip), v FROM everything ORDER BY id"
    rows = list(zip(bench.read("one", question), bench.read("masked", question), strict=True))
    assert len(rows) == 8
    for before, after in rows:
        assert (after[0], after[5]) == (before[0], before[5])
        for old, new in zip(before[1:5], after[1:5], strict=True):
            assert new == old if old in (None, "") else new not in (None, "", old)
    column = "SELECT t FROM one_column ORDER BY t"
    assert [value for (value,) in bench.read("masked", column)].count("") == 3
    assert [value for (value,) in bench.read("masked", column)].count(None) == 1
    assert bench.read("masked", "SELECT count(*) FROM capital WHERE state IS NULL AND name = 'Mainz'") == [
        (1,)
    ]


def test_counters_go_on_where_they_were_and_views_have_rows_where_they_had(
    bench: PostgresqlBench, kept: SyncReport
) -> None:
    sequences = bench.read(
        "one", "SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename) FROM pg_sequences"
    )
    assert len(sequences) >= 6
    for (sequence,) in sequences:
        question = f"SELECT last_value, is_called FROM {sequence}"
        assert bench.read("kept", question) == bench.read("one", question)
    filled = "SELECT matviewname, ispopulated FROM pg_matviews ORDER BY 1"
    assert bench.read("kept", filled) == bench.read("one", filled)
    assert ("not_filled", False) in bench.read("kept", filled)


def test_a_database_that_orders_texts_otherwise_has_a_copy_that_does_too(
    postgresql_bench: PostgresqlBench,
) -> None:
    bench = postgresql_bench
    bench.database.create("other")
    in_another_encoding(bench, "LATIN1")
    bench.execute(
        "one",
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'Größe'), (2, 'b'), (3, 'C')",
    )
    bench.sync("tables: {t: {columns: {id: keep, v: keep}}}")
    assert bench.read("copy", "SELECT v FROM t ORDER BY v") == [("C",), ("Größe",), ("b",)]
    kind = "SELECT pg_encoding_to_char(encoding), datcollate, datlocprovider FROM pg_database WHERE datname = current_database()"
    assert bench.read("copy", kind) == bench.read("one", kind) != bench.read("other", kind)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION seen()", "the event trigger watch"),
        ("SELECT lo_create(0)", "1 large objects"),
        ("CREATE SERVER elsewhere FOREIGN DATA WRAPPER other", "the foreign server elsewhere"),
        ("CREATE SERVER elsewhere FOREIGN DATA WRAPPER other; CREATE FOREIGN TABLE far (id int) SERVER elsewhere", "far"),
        ("CREATE TABLE bare ()", "no column"),
        ('CREATE TABLE "s.t" (id int); CREATE SCHEMA s; CREATE TABLE s.t (id int)', "two tables are called s.t"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_about_is_refused_by_name(
    postgresql_bench: PostgresqlBench, script: str, said: str
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    needed = "CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE FOREIGN DATA WRAPPER other;"
    bench.as_admin("one", f"CREATE TABLE t (id int); {needed} {script}")
    keep = "{columns: {id: keep}}"
    tables = {"t": keep, **{n: keep for n in ("far", "s.t") if n in script}}
    tables |= {"bare": "{columns: {}}"} if "bare" in script else {}
    with pytest.raises(Refused, match=said) as caught:
        bench.sync(f"tables: {{{', '.join(f'{name}: {rule}' for name, rule in tables.items())}}}")
    assert caught.value.number == 501
    assert bench.read(
        "copy", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ) == [(0,)]


def test_texts_of_no_known_encoding_are_refused(postgresql_bench: PostgresqlBench) -> None:
    bench = postgresql_bench
    bench.database.create("other")
    in_another_encoding(bench, "SQL_ASCII")
    bench.execute("one", "CREATE TABLE t (id int)")
    with pytest.raises(Refused, match="SQL_ASCII"):
        bench.sync("tables: {t: {columns: {id: keep}}}")


def test_a_drafted_policy_fits_and_can_be_synced_and_previewed_with(bench: PostgresqlBench) -> None:
    with bench.database.snapshot("one") as source:
        draft = suggest(source.schema(), sample(source))
        drafted = read_policy(draft)
        assert check(drafted, source.schema()) == []
        shown = {name: preview(source, drafted, name) for name in source.schema().tables}
    assert [row["id"] for row in shown["everything"]] == [1, 2, 3, 4, 5]
    assert shown["everything"][0]["raw"] is None
    assert shown["everything"][0]["j"] != '{"a" :  1, "a": 2}'
    assert shown["nothing_in_it"] == []
    assert bench.sync(draft, target="drafted", scan=False).rows > 300


def test_a_copy_has_statistics_of_all_its_tables_when_it_is_done(postgresql_bench: PostgresqlBench) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        """
        CREATE SCHEMA "Other Place";
        CREATE TABLE "Other Place"."a table" AS SELECT generate_series(1, 50) AS id;
        CREATE TABLE parted (id int) PARTITION BY RANGE (id);
        CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
        INSERT INTO parted SELECT generate_series(1, 50);
        CREATE MATERIALIZED VIEW seen AS SELECT id FROM parted;
        """,
    )
    kept = "{columns: {id: keep}}"
    bench.sync(f"tables: {{'Other Place.a table': {kept}, parted: {kept}}}")
    looked_at = (
        "SELECT tablename FROM pg_stats WHERE attname = 'id' AND schemaname !~ '^pg_' ORDER BY tablename"
    )
    assert bench.read("copy", looked_at) == [("a table",), ("parted",), ("parted_low",), ("seen",)]
