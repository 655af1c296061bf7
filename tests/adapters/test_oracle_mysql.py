"""What Oracle's MySQL has and MariaDB has not."""

import pytest

from branchline.adapters.databases.mysql_connection import Session
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.errors import Failed
from tests.workshop.mysql import Server
from tests.workshop.mysql_production import kept, lines, production, sync

ORACLES_OWN = """
CREATE TABLE own (id INT NOT NULL, j JSON, name VARCHAR(40), v VECTOR(2), g POINT NOT NULL SRID 4326, made DATE DEFAULT (CURRENT_DATE), PRIMARY KEY (id DESC),
  KEY lowered ((LOWER(name))), KEY zips ((CAST(j->'$.zips' AS UNSIGNED ARRAY))), KEY unseen (name) INVISIBLE, SPATIAL KEY places (g),
  CONSTRAINT odd CHECK (id % 2 = 1) NOT ENFORCED) COLLATE utf8mb4_0900_as_cs;
INSERT INTO own VALUES (1, '{"zips": [94536, 10115], "n": 1.50, "ü": "\\\\u00e9\\\\"\\\\n", "none": null}', 'Zoë Ångström', TO_VECTOR('[1.5,-2]'), ST_GeomFromText('POINT(52 13)', 4326), '2020-02-29'),
  (2, NULL, NULL, NULL, ST_GeomFromText('POINT(0 0)', 4326), NULL), (3, '"text"', '', NULL, ST_GeomFromText('POINT(1 1)', 4326), '2021-01-01');
"""


def test_what_only_oracles_mysql_has_arrives_and_its_documents_are_masked_and_searched(
    oracle_mysql: Server,
) -> None:
    with (
        oracle_mysql.bench() as bench,
        production(oracle_mysql, ORACLES_OWN) as (name, account),
    ):
        sync(bench, account, name, kept(oracle_mysql, name), scan=False)
        rows = "SELECT id, CAST(j AS CHAR), HEX(v), HEX(g), made, name FROM own"
        assert bench.read("copy", rows) == oracle_mysql.read(rows, name)
        (there,), (here,) = (
            oracle_mysql.read("SHOW CREATE TABLE own", database) for database in (name, bench.name("copy"))
        )
        assert lines(here[1]) == lines(there[1])
        bench.database.remove("copy")
        columns = "id: keep, v: keep, g: keep, made: keep, name: full_name, j: {}"
        with pytest.raises(Failed, match=r"own\.j"):
            oracle_mysql.execute("UPDATE own SET j = JSON_OBJECT('who', 'zoë ångström') WHERE id = 3", name)
            sync(bench, account, name, f"tables: {{own: {{columns: {{{columns.format('keep')}}}}}}}")
        bench.database.remove("copy")
        document = '{mask: json, paths: {"$.who": full_name, "$.**": keep}}'
        sync(bench, account, name, f"tables: {{own: {{columns: {{{columns.format(document)}}}}}}}")
        ((zips, who),) = bench.read(
            "copy", "SELECT a.j->'$.zips', b.j->>'$.who' FROM own a, own b WHERE a.id = 1 AND b.id = 3"
        )
    assert zips == "[94536, 10115]"
    assert who not in (None, "zoë ångström")


def test_an_application_gets_in_whatever_partial_revokes_says(oracle_mysql: Server) -> None:
    oracle_mysql.execute("SET GLOBAL partial_revokes = ON")
    try:
        with oracle_mysql.bench() as bench:
            bench.database.create("v_1.0")
            with bench.connection("v_1.0") as connection:
                connection.cursor().execute("CREATE TABLE t (id INT PRIMARY KEY)")
            with bench.database.snapshot("v_1.0") as snapshot:
                assert set(snapshot.schema().tables) == {"t"}
            assert bench.database.names() == ["v_1.0"]
            bench.database.remove("v_1.0")
            assert bench.database.names() == []
    finally:
        oracle_mysql.execute("SET GLOBAL partial_revokes = OFF")


def test_a_table_that_is_taken_back_from_the_account_is_a_problem(oracle_mysql: Server) -> None:
    oracle_mysql.execute("SET GLOBAL partial_revokes = ON")
    script = "CREATE TABLE t (id INT PRIMARY KEY);\nCREATE TABLE hidden (id INT PRIMARY KEY);"
    try:
        with production(oracle_mysql, script, "SHOW VIEW") as (name, account):
            oracle_mysql.execute(
                f"GRANT SELECT, SHOW VIEW ON *.* TO {name};\nREVOKE SELECT ON {name}.* FROM {name};\nGRANT SELECT ON {name}.t TO {name};"
            )
            with opened(account, name) as snapshot:
                assert f"grant it SELECT on {name}.*" in " ".join(snapshot.schema().problems)
            oracle_mysql.execute(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {name};")
    finally:
        oracle_mysql.execute("SET GLOBAL partial_revokes = OFF")


def test_versions_are_made_where_no_password_may_be_used_twice(oracle_mysql: Server) -> None:
    oracle_mysql.execute("SET GLOBAL password_history = 3")
    try:
        with oracle_mysql.bench() as bench:
            bench.database.create("one")
            bench.database.create("two")
            with bench.connection("two"):
                pass
    finally:
        oracle_mysql.execute("SET GLOBAL password_history = 0")


def test_what_the_sources_server_once_let_pass_passes_again(oracle_mysql: Server) -> None:
    script = """SET SESSION sql_mode = '', restrict_fk_on_non_standard_key = OFF;
        CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), KEY n ((CAST(v AS SIGNED))), KEY v (v));
        CREATE TABLE c (v VARCHAR(20), CONSTRAINT odd FOREIGN KEY (v) REFERENCES t (v));
        INSERT INTO t VALUES (1, 'abc');
        INSERT INTO c VALUES ('abc');"""
    oracle_mysql.execute("SET GLOBAL sql_generate_invisible_primary_key = ON")
    try:
        with (
            oracle_mysql.bench() as bench,
            production(
                oracle_mysql,
                script.replace(
                    "SESSION sql_mode", "SESSION sql_generate_invisible_primary_key = OFF, sql_mode"
                ),
            ) as (name, account),
        ):
            sync(bench, account, name, kept(oracle_mysql, name), scan=False)
            for table in ("t", "c"):
                (there,), (here,) = (
                    oracle_mysql.read(f"SHOW CREATE TABLE {table}", where)
                    for where in (name, bench.name("copy"))
                )
                assert lines(here[1]) == lines(there[1])
    finally:
        oracle_mysql.execute("SET GLOBAL sql_generate_invisible_primary_key = OFF")


def test_a_value_that_a_condition_stumbles_over_is_not_told(oracle_mysql: Server) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY, k VARCHAR(99));\nINSERT INTO t VALUES (1, 'key ''Hans Peter'' x');"
    policy = "tables: {t: {where: UUID_TO_BIN(k) IS NOT NULL, columns: {id: keep, k: keep}}}"
    with (
        oracle_mysql.bench() as bench,
        production(oracle_mysql, script) as (name, account),
        pytest.raises(Failed, match="1411") as caught,
    ):
        sync(bench, account, name, policy)
    assert "Hans" not in str(caught.value)


def test_sizes_and_numbers_of_rows_are_those_of_now_and_not_of_yesterday(oracle_mysql: Server) -> None:
    session = Session(oracle_mysql.admin)
    try:
        assert session.one("SELECT @@information_schema_stats_expiry") == 0
    finally:
        session.close()
