"""Schemas that have grown old on MariaDB and MySQL: odd keys, character sets, counters and computed columns, definitions that say where they are."""

from __future__ import annotations

import pytest

from branchline.adapters.databases.mysql_definitions import renamed
from branchline.errors import Failed, Refused
from tests.workshop.mysql import MysqlBench, Server, numbers
from tests.workshop.mysql_production import checksums, kept, production, sync


def copied(bench: MysqlBench, server: Server, script: str, policy: str = "") -> str:
    """The name of the copy of a database that a script makes, all of it kept and compared."""
    with production(server, script) as (name, _):
        sync(bench, server.admin, name, policy or kept(server, name))
        copy = bench.name("copy")
        assert checksums(server, copy) == checksums(server, name)
        return copy


def test_a_key_is_walked_along_by_its_bytes_whatever_utf8_makes_of_them(
    mysql_bench: MysqlBench, server: Server
) -> None:
    copy = copied(
        mysql_bench,
        server,
        "CREATE TABLE old (k VARCHAR(20) CHARACTER SET cp1251 COLLATE cp1251_bin PRIMARY KEY, v INT);\n"
        f"INSERT INTO old SELECT CONCAT(_cp1251 x'98', seq), seq FROM {numbers(3000)};",
    )
    assert server.read("SELECT COUNT(*) FROM old", copy) == [(3000,)]


@pytest.mark.parametrize(
    "columns",
    [
        "grp INT NOT NULL, id INT NOT NULL AUTO_INCREMENT, v INT, UNIQUE KEY k (grp, id)) ENGINE=MyISAM",
        "grp INT COMMENT 'see AUTO_INCREMENT below', id INT NOT NULL AUTO_INCREMENT, v INT, KEY k (id))",
    ],
    ids=["groups", "comment"],
)
def test_a_counter_keeps_the_index_that_it_needs(
    mysql_bench: MysqlBench, server: Server, columns: str
) -> None:
    script = f"CREATE TABLE t ({columns};\nINSERT INTO t (grp, v) VALUES (1, 1), (1, 2), (2, 1);"
    copied(mysql_bench, server, script)


def test_a_very_wide_table_is_copied(mysql_bench: MysqlBench, server: Server) -> None:
    names = [f"c{number}" for number in range(1010)]
    wide, kept_ = (", ".join(f"{name}{what}" for name in names) for what in (" TINYINT", ": keep"))
    script = f"CREATE TABLE t (id INT PRIMARY KEY, {wide});\nINSERT INTO t (id) VALUES (1);"
    copied(mysql_bench, server, script, f"tables: {{t: {{columns: {{id: keep, {kept_}}}}}}}")


def test_what_computing_warns_of_is_no_loss(mysql_bench: MysqlBench, server: Server) -> None:
    copied(
        mysql_bench,
        server,
        "SET SESSION sql_mode = '';\nCREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), n INT AS (v + 0) STORED, s VARCHAR(3) AS (v) STORED);\n"
        "INSERT INTO t (id, v) VALUES (1, '12abc'), (2, 'much too long');",
    )


def test_views_are_of_the_copy_whatever_else_they_look_into(mysql_bench: MysqlBench, server: Server) -> None:
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY);\nINSERT INTO t VALUES (1), (2);") as (
        name,
        _,
    ):
        server.execute(
            f"CREATE VIEW v AS SELECT t.id, '`{name}`.x' AS said FROM t JOIN information_schema.SCHEMATA s ON s.SCHEMA_NAME = 'information_schema';\n"
            f"CREATE VIEW w AS SELECT COUNT(*) AS n FROM `{name}`.t;",
            name,
        )
        sync(mysql_bench, server.admin, name, kept(server, name))
        server.execute("DELETE FROM t;", name)
    assert mysql_bench.read("copy", "SELECT id, said FROM v ORDER BY id") == [
        (1, f"`{name}`.x"),
        (2, f"`{name}`.x"),
    ]
    assert mysql_bench.read("copy", "SELECT n FROM w") == [(2,)]


def test_a_definition_names_the_copy_where_it_named_its_own_database_and_nowhere_else() -> None:
    said = (
        "CREATE VIEW `v` AS select `shop`.`id`, `shop`.`t`.`x`, 'it''s `shop`.`t`', `it's`.`shop` /* don't `shop`.`t` */\n"
        'from `shop` . `t` join `other`.`t` -- don\'t `shop`.`t`\n where `shop`.`f`(nextval(`shop`.`s`)) = "`shop`.`t`"'
    )
    assert renamed(said, "shop", "copy", {"t", "f", "s", "shop"}) == (
        "CREATE VIEW `v` AS select `shop`.`id`, `copy`.`t`.`x`, 'it''s `shop`.`t`', `it's`.`shop` /* don't `shop`.`t` */\n"
        'from `copy`.`t` join `other`.`t` -- don\'t `shop`.`t`\n where `copy`.`f`(nextval(`copy`.`s`)) = "`shop`.`t`"'
    )


def test_functions_remember_the_collation_that_their_database_had(
    mysql_bench: MysqlBench, server: Server
) -> None:
    with production(server, "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci;") as (name, _):
        server.execute(
            "CREATE FUNCTION f (x VARCHAR(9)) RETURNS VARCHAR(40) DETERMINISTIC RETURN COLLATION(x);\n"
            "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n"
            "CREATE FUNCTION g (x VARCHAR(9)) RETURNS VARCHAR(40) DETERMINISTIC RETURN COLLATION(x);\n"
            "CREATE TABLE t (id INT PRIMARY KEY);",
            name,
        )
        sync(mysql_bench, server.admin, name, kept(server, name))
    asked = "SELECT f('a'), g('a'), @@collation_database"
    assert mysql_bench.read("copy", asked) == [("latin1_german1_ci", "utf8mb4_bin", "utf8mb4_bin")]


def test_masked_values_fit_uuids_short_texts_and_ascii_or_are_refused(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY, u CHAR(36), short TINYTEXT, plain VARCHAR(80) CHARACTER SET ascii);\n"
    script = script if server.oracle else script.replace("CHAR(36)", "UUID")
    rows = "INSERT INTO t VALUES (1, UUID(), 'Ann came by and told us what she wanted to have and when', 'Ann Other');"
    masks = "u: token, short: text, plain: {}"
    policy = "{locale: ru_RU, tables: {t: {columns: {id: keep, %s}}}}"
    with production(server, script + rows) as (name, _):
        with pytest.raises(Failed, match=r"t\.plain") as failed:
            sync(mysql_bench, server.admin, name, policy % masks.format("full_name"))
        assert failed.value.number == 524
        mysql_bench.database.remove("copy")
        sync(mysql_bench, server.admin, name, policy % masks.format("token"))
    ((token, short),) = mysql_bench.read("copy", "SELECT REPLACE(u, '-', ''), short FROM t")
    assert len(token) in (32, 36)
    assert 0 < len(short.encode()) <= 255


@pytest.mark.parametrize("server", ["mariadb"], indirect=True)
def test_a_unique_address_of_four_bytes_wants_another_mask(mysql_bench: MysqlBench, server: Server) -> None:
    with (
        production(server, "CREATE TABLE t (id INT PRIMARY KEY, a INET4 UNIQUE);") as (name, _),
        pytest.raises(Refused, match="ip"),
    ):
        sync(mysql_bench, server.admin, name, "tables: {t: {columns: {id: keep, a: ip}}}")
