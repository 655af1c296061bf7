"""Rows that row-level security hides, from whoever owns their table too."""

from __future__ import annotations

import pytest

from branchline.errors import Failed
from tests.workshop.postgresql_bench import PostgresqlBench

TENANTS = """
CREATE TABLE notes (id int PRIMARY KEY, tenant text, author text);
INSERT INTO notes SELECT i, 'tenant ' || i % 3, 'somebody.' || i || '@mail.example' FROM generate_series(1, 30) i;
CREATE POLICY of_tenant ON notes USING (tenant = current_setting('app.tenant', true));
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes FORCE ROW LEVEL SECURITY;
"""
POLICY = "tables: {notes: {columns: {id: keep, tenant: keep, author: email}}}"


@pytest.fixture
def bench(postgresql_bench: PostgresqlBench) -> PostgresqlBench:
    postgresql_bench.database.create("one")
    postgresql_bench.execute("one", TENANTS)
    return postgresql_bench


def seen(bench: PostgresqlBench, version: str, tenant: str) -> list[tuple[int, str]]:
    """What the application sees as one of its tenants."""
    with bench.connection(version) as connection:
        connection.execute("SELECT set_config('app.tenant', %s, false)", [tenant])
        return connection.execute("SELECT id, author FROM notes ORDER BY id").fetchall()


def test_all_rows_come_along_masked_and_the_policy_with_them(bench: PostgresqlBench) -> None:
    report = bench.sync(POLICY)
    assert (report.rows, report.leaks) == (30, 0)
    for number in range(3):
        before, after = (seen(bench, version, f"tenant {number}") for version in ("one", "copy"))
        assert [row[0] for row in after] == [row[0] for row in before]
        assert len(after) == 10
        assert all(author.endswith("@example.test") for _, author in after)
    assert seen(bench, "copy", "nobody") == []


def test_an_original_in_hidden_rows_is_found(bench: PostgresqlBench) -> None:
    bench.execute("one", "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY")
    bench.execute("one", "UPDATE notes SET tenant = author WHERE id = 7")
    bench.execute("one", "ALTER TABLE notes FORCE ROW LEVEL SECURITY")
    with pytest.raises(Failed, match=r"notes\.tenant") as failed:
        bench.sync(POLICY)
    assert failed.value.number == 505


def test_disarming_rows_that_are_hidden_from_it_fails_instead_of_doing_nothing(
    bench: PostgresqlBench,
) -> None:
    with pytest.raises(Failed, match="row-level security policy") as failed:
        bench.sync(POLICY + '\ndisarm: {sql: ["UPDATE notes SET tenant = NULL"]}')
    assert failed.value.number == 508


def test_a_materialized_view_over_hidden_rows_has_what_its_owner_sees(bench: PostgresqlBench) -> None:
    bench.execute("one", "CREATE POLICY of_all ON notes USING (tenant <> 'tenant 2')")
    bench.execute("one", "CREATE MATERIALIZED VIEW seen AS SELECT id FROM notes")
    bench.sync(POLICY)
    with bench.connection("one") as source, bench.connection("copy") as copy:
        before, after = (c.execute("SELECT id FROM seen ORDER BY id").fetchall() for c in (source, copy))
    assert after == before
    assert len(after) == 20
