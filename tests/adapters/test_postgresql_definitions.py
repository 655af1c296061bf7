"""What comes with a PostgreSQL schema in the order that it wants, and what an application has set for itself is in nobody's way."""

from __future__ import annotations

import pytest

from branchline.errors import Refused
from tests.adapters.test_postgresql_faithful import definition, policy
from tests.workshop.postgresql_bench import PostgresqlBench

PARTITIONED = """
CREATE TABLE event (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
CREATE TABLE event_low PARTITION OF event FOR VALUES FROM (0) TO (100);
CREATE TABLE event_else PARTITION OF event DEFAULT;
INSERT INTO event SELECT i, 'v' || i FROM generate_series(1, 200) i;
"""
REFERRING = """
CREATE TABLE account (id int PRIMARY KEY, tenant text);
INSERT INTO account SELECT i, 't' || i % 3 FROM generate_series(1, 30) i;
CREATE TABLE note (id int PRIMARY KEY, account int CONSTRAINT of_account REFERENCES account);
INSERT INTO note SELECT i, i FROM generate_series(1, 30) i;
COMMENT ON CONSTRAINT of_account ON note IS 'why';
"""
HIDING = """
CREATE POLICY of_tenant ON account USING (tenant = current_setting('app.tenant', true));
ALTER TABLE account ENABLE ROW LEVEL SECURITY;
ALTER TABLE account FORCE ROW LEVEL SECURITY;
"""


@pytest.fixture
def bench(postgresql_bench: PostgresqlBench) -> PostgresqlBench:
    postgresql_bench.database.create("one")
    return postgresql_bench


@pytest.mark.parametrize(
    "script",
    [REFERRING + PARTITIONED, REFERRING + HIDING, PARTITIONED + REFERRING + HIDING],
    ids=["partitions", "hidden rows", "both"],
)
def test_a_foreign_key_comes_with_its_comment_whatever_else_there_is(
    bench: PostgresqlBench, script: str
) -> None:
    bench.execute("one", script)
    bench.sync(policy(bench, {}))
    assert definition(bench, "copy") == definition(bench, "one")
    with bench.connection("one"):
        bench.database.clone("one", "clone")
    assert definition(bench, "clone") == definition(bench, "one")


@pytest.mark.parametrize("referring", ["event_low", "note"])
def test_a_key_of_or_to_one_partition_wants_one_mask_on_both_sides(
    bench: PostgresqlBench, referring: str
) -> None:
    bench.execute("one", PARTITIONED)
    bench.execute("one", "CREATE UNIQUE INDEX low ON event_low (v)")
    bench.execute("one", "CREATE TABLE note (id int PRIMARY KEY, v text UNIQUE, event text)")
    bench.execute("one", "INSERT INTO note SELECT i, 'v' || i, 'v' || i FROM generate_series(1, 99) i")
    refers = {"event_low": "(v) REFERENCES note (v)", "note": "(event) REFERENCES event_low (v)"}
    bench.execute("one", f"ALTER TABLE {referring} ADD FOREIGN KEY {refers[referring]}")
    with pytest.raises(Refused, match="use one mask") as refused:
        bench.sync(policy(bench, {"event": {"v": "token"}}))
    assert refused.value.number == 501
    report = bench.sync(policy(bench, {"event": {"v": "token"}, "note": {"v": "token", "event": "token"}}))
    assert (report.rows, report.leaks) == (299, 0)
    assert definition(bench, "copy") == definition(bench, "one")


def test_foreign_keys_of_one_column_to_several_partitioned_tables_come_along(bench: PostgresqlBench) -> None:
    names = ("a", "b", "c")
    made = [
        f"CREATE TABLE {name} (id int PRIMARY KEY, x int, y int) PARTITION BY HASH (id);"
        + "".join(
            f"CREATE TABLE {name}_{part} PARTITION OF {name} FOR VALUES WITH (MODULUS 8, REMAINDER {part});"
            for part in range(8)
        )
        for name in names
    ]
    keys = (
        "ADD FOREIGN KEY (x) REFERENCES a, ADD FOREIGN KEY (y) REFERENCES b, ADD FOREIGN KEY (y) REFERENCES c"
    )
    bench.execute("one", "".join(made) + "".join(f"ALTER TABLE {name} {keys};" for name in names))
    bench.sync(policy(bench, {}))
    references = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY 1, 2"
    assert bench.read("copy", references) == bench.read("one", references)


def test_many_foreign_keys_to_a_table_whose_partitions_have_many_indexes_come_along(
    bench: PostgresqlBench,
) -> None:
    columns = [f"v{number}" for number in range(8)]
    parts = [
        f"CREATE TABLE m{p} PARTITION OF m FOR VALUES FROM ({p}0) TO ({p + 1}0) PARTITION BY RANGE (id);"
        f"CREATE TABLE m{p}a PARTITION OF m{p} FOR VALUES FROM (0) TO (100);"
        f"CREATE TABLE m{p}b PARTITION OF m{p} FOR VALUES FROM (100) TO (200)"
        for p in range(4)
    ]
    referring = [
        f"CREATE TABLE c{number} AS SELECT id, at FROM m; ALTER TABLE c{number} ADD FOREIGN KEY (id, at) REFERENCES m (id, at)"
        for number in range(12)
    ]
    declared = ", ".join(f"{name} int" for name in columns)
    script = [
        f"CREATE TABLE m (id int, at int, {declared}, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
        *parts,
        *(f"CREATE INDEX ON m ({name})" for name in columns),
        "INSERT INTO m (id, at) SELECT i, i % 40 FROM generate_series(1, 150) i",
        *referring,
    ]
    bench.execute("one", "; ".join(script))
    assert bench.sync(policy(bench, {}), scan=False).rows == 13 * 150
    assert definition(bench, "copy") == definition(bench, "one")


def test_extensions_are_made_in_the_order_that_they_need_each_other(bench: PostgresqlBench) -> None:
    bench.as_admin(
        "one",
        "CREATE SCHEMA e1; CREATE SCHEMA e2; CREATE EXTENSION cube SCHEMA e1 VERSION '1.4'; SET search_path = e2, e1;"
        " CREATE EXTENSION earthdistance SCHEMA e2; ALTER EXTENSION cube UPDATE TO '1.5'; CREATE TABLE public.t (id int, c e1.cube)",
    )
    bench.sync("tables: {t: {columns: {id: keep, c: keep}}}")
    placed = "SELECT extname, extnamespace::regnamespace::text FROM pg_extension ORDER BY 1"
    assert bench.read("copy", placed) == bench.read("one", placed)


def test_an_empty_search_path_comes_along(bench: PostgresqlBench) -> None:
    bench.execute("one", "CREATE TABLE public.t (id int)")
    bench.as_admin("one", f"ALTER DATABASE \"{bench.physical('one')}\" SET search_path TO ''")
    bench.sync("tables: {t: {columns: {id: keep}}}")
    bench.database.clone("one", "clone")
    for version in ("one", "copy", "clone"):
        assert bench.read(version, "SHOW search_path") == [('""',)]


def test_what_an_application_has_set_for_its_account_is_not_in_the_way(bench: PostgresqlBench) -> None:
    bench.execute(
        "one",
        """
        CREATE SCHEMA app;
        CREATE TABLE app.parent (id int PRIMARY KEY);
        CREATE TABLE app.t (id int PRIMARY KEY, texts text[], parent int);
        INSERT INTO app.t SELECT i, ARRAY['a', NULL], i FROM generate_series(1, 20000) i;
        ALTER TABLE app.t ADD CONSTRAINT unproved FOREIGN KEY (parent) REFERENCES app.parent NOT VALID;
        ALTER ROLE CURRENT_USER SET array_nulls = off;
        ALTER ROLE CURRENT_USER SET default_transaction_read_only = on;
        ALTER ROLE CURRENT_USER SET statement_timeout = '1ms';
        ALTER ROLE CURRENT_USER SET search_path = app, public;
        """,
    )
    bench.sync(
        "tables: {app.t: {columns: {id: keep, texts: keep, parent: keep}}, app.parent: {columns: {id: keep}}}"
    )
    with bench.admin.connect(bench.physical("copy")) as admin:
        assert admin.execute("SELECT count(*) FROM app.t WHERE texts[2] IS NULL").fetchall() == [(20000,)]


def test_a_clone_of_what_is_in_use_has_statistics(bench: PostgresqlBench) -> None:
    bench.execute("one", "CREATE TABLE t AS SELECT generate_series(1, 50) AS id")
    with bench.connection("one"):
        bench.database.clone("one", "clone")
    assert bench.read("clone", "SELECT count(*) FROM pg_stats WHERE tablename = 't'") == [(1,)]
