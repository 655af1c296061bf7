"""What only MariaDB and MySQL have: their types and programs, accounts and grants, sessions that are ended, LOAD DATA's leniency."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import polars as pl
import pytest

from branchline.adapters.databases.mysql import MysqlDatabase
from branchline.adapters.databases.mysql_connection import MysqlServer, Session
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.mysql import MysqlBench, Server, numbers

EVERY_TYPE = """
CREATE SEQUENCE numbers START WITH 7 INCREMENT BY 3 CACHE 2;
CREATE TABLE types (
  id BIGINT UNSIGNED NOT NULL DEFAULT nextval(numbers), b BIT(12), g GEOMETRY, p POINT NOT NULL COMMENT 'it''s where\\nit is', u UUID,
  i4 INET4, i6 INET6, e ENUM('x','','1'), s SET('a','b'), f FLOAT, f2 FLOAT(7,2), d DOUBLE, l VARCHAR(20) CHARACTER SET latin1, u2 VARCHAR(20) CHARACTER SET ucs2,
  sj VARCHAR(20) CHARACTER SET sjis, bl BLOB, bi BINARY(5), vb VARBINARY(9), j JSON, y YEAR, t TIME(3), dt DATETIME(6), ts TIMESTAMP(2) NULL, n DECIMAL(30,10),
  z INT(5) ZEROFILL, da DATE, c CHAR(9) COLLATE utf8mb4_bin, tiny TINYINT(1) INVISIBLE, lt LONGTEXT COMPRESSED, low VARCHAR(20) AS (lower(l)) STORED,
  up VARCHAR(20) GENERATED ALWAYS AS (upper(l)) VIRTUAL, PRIMARY KEY (id), SPATIAL KEY where_ (p), FULLTEXT KEY words (c), FULLTEXT KEY more (l), KEY lowered (low(7)),
  CONSTRAINT positive CHECK (n is null or n > -1)) COMMENT 'every type';
INSERT INTO types (id, b, g, p, u, i4, i6, e, s, f, f2, d, l, u2, sj, bl, bi, vb, j, y, t, dt, ts, n, z, da, c, tiny, lt) VALUES
  (18446744073709551615, b'101', ST_GeomFromText('POINT(1 2)', 4326), POINT(3,4), '3b33ef1b-e98d-11f1-8081-02fc00000001', '10.0.0.1', '2001:db8::1', '1', 'a,b', 0.1, 12345.67, 1e-300, 'Grüße€', '日本é', '日本ソ', x'001a1e1f00', x'0102', x'', '{"a": 1}', 2024, '-12:00:01.5', '2024-02-29 23:59:59.123456', '2038-01-01 00:00:00', '12345678901234567890.0123456789', 7, '0000-00-00', '\\\\N', 1, REPEAT('ab ', 9000)),
  (2, 0x1e, NULL, POINT(0,0), NULL, NULL, NULL, '', '', 3.4e38, -1.5, 1.7976931348623157e308, '', '', '', '', x'', x'1f', NULL, '0000', '838:59:59.999', '0000-00-00 00:00:00', '1970-01-01 00:00:01', -0.5, 0, '2020-00-00', 'NULL', NULL, ''),
  (3, NULL, ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))'), POINT(-0.1,7e10), UUID(), '255.255.255.255', '::', 'x', NULL, -0.0, NULL, 0.1, 'a', '\\0a', 'b', x'ff', x'1e', x'1a4e', '[]', NULL, NULL, '2020-02-31', NULL, NULL, 99999, '2020-02-31', '😀  ', -128, '\\Z\\t\\n\\\\\\0😀');
CREATE TABLE counted (a INT NOT NULL, n INT NOT NULL AUTO_INCREMENT, PRIMARY KEY (a, n), KEY n (n), UNIQUE KEY both_ (n, a)) AUTO_INCREMENT = 4711;
INSERT INTO counted VALUES (1, 0), (2, 5);
CREATE TABLE parted (id INT NOT NULL, day_ DATE NOT NULL, v VARCHAR(9), PRIMARY KEY (id, day_), KEY v (v))
  PARTITION BY RANGE (YEAR(day_)) (PARTITION a VALUES LESS THAN (2020), PARTITION b VALUES LESS THAN MAXVALUE);
INSERT INTO parted SELECT seq, '2018-01-01' + INTERVAL seq DAY, seq MOD 7 FROM <3000>;
CREATE TABLE old_style (v VARCHAR(20), w TEXT, KEY (v)) ENGINE=MyISAM CHARSET=latin1;
INSERT INTO old_style VALUES ('é', 'a\\tb'), ('é', 'a\\tb'), (NULL, NULL), ('', '\\N');
CREATE TABLE nothing (id INT PRIMARY KEY);
CREATE TABLE hen (id INT PRIMARY KEY, egg INT);
CREATE TABLE egg (id INT PRIMARY KEY, hen INT, parent INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE CASCADE, CONSTRAINT line FOREIGN KEY (parent) REFERENCES egg (id));
ALTER TABLE hen ADD CONSTRAINT hatched FOREIGN KEY (egg) REFERENCES egg (id) ON DELETE SET NULL;
INSERT INTO hen VALUES (1, NULL), (2, NULL);
INSERT INTO egg VALUES (2, 2, 2), (1, 1, 2);
UPDATE hen SET egg = id;
CREATE TABLE spelled (k VARCHAR(20) COLLATE utf8mb4_general_ci, n DECIMAL(9,2), at_ DATETIME, b VARBINARY(4), v INT, PRIMARY KEY (k, n, at_, b));
INSERT INTO spelled SELECT CONCAT('Key''\\\\ä', seq DIV 100), seq / 3, '2020-01-01' + INTERVAL seq SECOND, UNHEX(HEX(seq)), seq FROM <2500>;
CREATE DEFINER = CURRENT_USER FUNCTION doubled (x INT) RETURNS INT DETERMINISTIC RETURN x * 2;
CREATE VIEW above AS SELECT * FROM below_;
""".replace("<3000>", numbers(3000)).replace("<2500>", numbers(2500))
NOT_ORACLES = {
    "CREATE SEQUENCE numbers START WITH 7 INCREMENT BY 3 CACHE 2;\n": "",
    " DEFAULT nextval(numbers)": "",
    "u UUID": "u CHAR(36)",
    "i4 INET4": "i4 VARCHAR(15)",
    "i6 INET6": "i6 VARCHAR(39)",
    "LONGTEXT COMPRESSED": "LONGTEXT",
}
"""What only MariaDB has, and what stands for it where Oracle's MySQL is asked."""
PROGRAMS = """
CREATE VIEW below_ AS SELECT id, doubled(id) AS twice FROM hen;
CREATE VIEW above AS SELECT twice FROM below_ WHERE twice > 2;
CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, what TEXT);
CREATE TRIGGER told AFTER INSERT ON hen FOR EACH ROW INSERT INTO log (what) VALUES (CONCAT('first ', NEW.id));
CREATE TRIGGER told_too AFTER INSERT ON hen FOR EACH ROW INSERT INTO log (what) VALUES (CONCAT('second ', NEW.id));
CREATE PROCEDURE lay (n INT) COMMENT 'a; b' BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO INSERT INTO egg VALUES (100 + i, 1, NULL); SET i = i + 1; END WHILE; END;
CREATE EVENT mails ON SCHEDULE EVERY 1 DAY DO DELETE FROM log;
"""


@contextmanager
def production(
    server: Server, script: str, rights: str = "SELECT, SHOW VIEW"
) -> Iterator[tuple[str, MysqlServer]]:
    """A database that Branchline did not make, and an account with these rights on it."""
    with server.database() as name:
        server.execute(script, name)
        server.execute(f"CREATE USER {name} IDENTIFIED BY 'pass';\nGRANT {rights} ON {name}.* TO {name};")
        try:
            yield name, replace(server.admin, user=name, password="pass")
        finally:
            server.execute(f"DROP USER {name}")


def every_type(server: Server) -> str:
    script = EVERY_TYPE
    for mariadbs, oracles in NOT_ORACLES.items() if server.oracle else ():
        assert mariadbs in script
        script = script.replace(mariadbs, oracles)
    return script


def kept(server: Server, database: str) -> str:
    """A policy that keeps every column of every table."""
    rows = server.read(
        "SELECT TABLE_NAME, GROUP_CONCAT('\"', COLUMN_NAME, '\": keep' SEPARATOR ', ') FROM information_schema.COLUMNS"
        " JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME)"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND IFNULL(GENERATION_EXPRESSION, '') = '' GROUP BY 1",
        database,
    )
    return "tables: {" + ", ".join(f"{table}: {{columns: {{{columns}}}}}" for table, columns in rows) + "}"


def checksums(server: Server, database: str) -> dict[str, str]:
    """One number per column of every table, and whatever else there is to compare."""
    found = {}
    with server.connected(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        )
        for table, column in cursor.fetchall():
            value = f"CAST(`{column}` AS BINARY)"
            cursor.execute(
                f"SELECT COUNT(*), COUNT(`{column}`), SUM(CRC32({value})), BIT_XOR(CAST(CONV(LEFT(SHA2({value}, 256), 16), 16, 10) AS UNSIGNED)) FROM `{table}`"
            )
            found[f"{table}.{column}"] = str(cursor.fetchone())
    return found


def sync(bench: MysqlBench, source: MysqlServer, database: str, policy: str, **options: object):
    bench.database.create("copy")
    with opened(source, database, 2) as snapshot, bench.database.loader("copy") as loader:
        return replicate(snapshot, loader, read_policy(policy), **options), snapshot.notes


def test_every_type_key_and_partition_arrives_byte_for_byte(mysql_bench: MysqlBench, server: Server) -> None:
    lenient = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO';\n"
    script = lenient + every_type(server).rpartition("CREATE VIEW")[0]
    with production(server, script) as (name, _):
        sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
        copy = mysql_bench.name("copy")
        assert checksums(server, copy) == checksums(server, name)
        for table in ("types", "counted", "parted", "old_style", "nothing", "hen", "egg", "spelled"):
            (before,), (after,) = (server.read(f"SHOW CREATE TABLE {table}", where) for where in (name, copy))
            assert sorted(after[1].replace(copy, name).replace(",", "").split("\n")) == sorted(
                before[1].replace(",", "").split("\n")
            )
        assert (
            server.read("CHECKSUM TABLE types, counted, parted, hen, egg, spelled", copy)[0][1]
            == (server.read("CHECKSUM TABLE types, counted, parted, hen, egg, spelled", name)[0][1])
        )
        if not server.oracle:
            assert server.read("SELECT nextval(numbers)", copy) == server.read(
                "SELECT nextval(numbers)", name
            )
        options = (
            "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()"
        )
        assert server.read(options, copy) == server.read(options, name)


def test_views_triggers_and_routines_work_for_the_owner_and_events_are_disarmed(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = EVERY_TYPE[EVERY_TYPE.index("CREATE TABLE hen") : EVERY_TYPE.rindex("CREATE VIEW")]
    programs = PROGRAMS.replace("CREATE VIEW below_", "CREATE VIEW zz_below").replace(
        "FROM below_", "FROM zz_below"
    )
    with production(server, script) as (name, _):
        server.execute(programs.split("CREATE PROCEDURE")[0], name)
        with server.connected(name) as connection:
            body = (
                programs[programs.index("CREATE PROCEDURE") : programs.index("CREATE EVENT")]
                .strip()
                .rstrip(";")
            )
            connection.cursor().execute(body)
        server.execute(programs[programs.index("CREATE EVENT") :], name)
        sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
    with mysql_bench.connection("copy") as connection:
        cursor = connection.cursor()
        cursor.execute("INSERT INTO hen VALUES (3, NULL)")
        cursor.execute("CALL lay(2)")
        cursor.execute("SELECT GROUP_CONCAT(what ORDER BY id) FROM log")
        assert cursor.fetchone() == ("first 3,second 3",)
        cursor.execute("SELECT twice FROM above ORDER BY 1")
        assert cursor.fetchall() == ((4,), (6,))
    owner = f"bl_{mysql_bench.database.slug}@%"
    events = "SELECT STATUS, DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()"
    assert mysql_bench.read("copy", events) == [("DISABLED", owner)]
    assert mysql_bench.read(
        "copy",
        "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()"
        " UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"
        " UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()",
    ) == [(owner,)]


def test_a_definer_is_replaced_whatever_the_program_is_called(
    mysql_bench: MysqlBench, server: Server
) -> None:
    with production(server, "CREATE TABLE hen (id INT PRIMARY KEY);") as (name, _):
        for called in ("r", "T"):
            server.execute(f"CREATE VIEW {called} AS SELECT * FROM hen", name)
        for called in ("root", "E"):
            server.execute(f"CREATE PROCEDURE {called}() SELECT 'DEFINER=`root`@`%`'", name)
        sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
    owner = f"bl_{mysql_bench.database.slug}@%"
    views = "SELECT TABLE_NAME, DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()"
    programs = (
        "SELECT ROUTINE_NAME, DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()"
    )
    assert sorted(mysql_bench.read("copy", views)) == [("T", owner), ("r", owner)]
    assert sorted(mysql_bench.read("copy", programs)) == [("E", owner), ("root", owner)]
    with mysql_bench.connection("copy") as connection:
        cursor = connection.cursor()
        cursor.execute("CALL root()")
        assert cursor.fetchone() == ("DEFINER=`root`@`%`",)


def test_a_foreign_key_into_another_database_is_refused_by_name(
    mysql_bench: MysqlBench, server: Server
) -> None:
    with production(server, "CREATE TABLE hen (id INT PRIMARY KEY);") as (other, _):
        script = f"CREATE TABLE egg (id INT PRIMARY KEY, hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES {other}.hen (id));"
        with (
            production(server, script) as (name, _),
            pytest.raises(Refused, match=f"laid of egg refers to another database \\({other}\\)"),
        ):
            sync(mysql_bench, server.admin, name, "tables: {egg: {columns: {id: keep, hen: keep}}}")


def test_values_of_sixteen_mebibytes_pass_and_are_masked_beside(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = """CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, phone VARCHAR(40));
        INSERT INTO big VALUES (1, x'00', 'a', '+49 170 1'), (2, REPEAT(x'001a1e1fff', 3355443), REPEAT('ab😀', 2796202), '+49 170 2'), (3, NULL, NULL, '+49 170 3');"""
    policy = "tables: {big: {columns: {id: keep, b: keep, t: keep, phone: phone}}}"
    with production(server, script) as (name, account):
        sync(mysql_bench, account, name, policy, scan=False)
        before, after = checksums(server, name), checksums(server, mysql_bench.name("copy"))
    assert before.pop("big.phone") != after.pop("big.phone")
    assert before == after


def test_rows_of_a_table_without_a_key_are_all_copied_and_masked(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = f"""CREATE TABLE loose (phone VARCHAR(40), v VARCHAR(20));
        INSERT INTO loose SELECT CONCAT('+49 170 ', 1000000 + seq MOD 5000), IF(seq MOD 2, 'a\\Z', NULL) FROM {numbers(10000)};"""
    with production(server, script) as (name, account):
        report, _ = sync(mysql_bench, account, name, "tables: {loose: {columns: {phone: phone, v: keep}}}")
    assert report.rows == 10_000
    assert mysql_bench.read(
        "copy", "SELECT COUNT(*), COUNT(v), COUNT(DISTINCT phone) FROM loose WHERE v IS NULL OR v = 'a\\Z'"
    ) == [(10_000, 5_000, 5_000)]


def test_masked_columns_of_other_character_sets_and_bytes_hold_what_was_drawn(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = """CREATE TABLE t (id INT PRIMARY KEY, l VARCHAR(40) CHARACTER SET latin1, u VARCHAR(40) CHARACTER SET ucs2, b BLOB, bit_ BIT(4), d DATE, n DECIMAL(9,2), e ENUM('a', 'b'));
        INSERT INTO t VALUES (1, 'Müller', 'Müller', x'1e', b'1', '1970-05-05', 12.5, 'b'), (2, NULL, '', NULL, NULL, NULL, NULL, NULL);"""
    policy = """tables: {t: {columns: {id: keep, l: {mask: constant, value: "Grüße\\x1e\\x1a"}, u: {mask: constant, value: "日本"},
        b: 'null', bit_: {mask: constant, value: 5}, d: {mask: constant, value: "2000-01-01"}, n: {mask: constant, value: 7}, e: {mask: constant, value: a}}}}"""
    with production(server, script) as (name, account):
        sync(mysql_bench, account, name, policy, scan=False)
    (first, second) = mysql_bench.read(
        "copy", "SELECT l, u, b, bit_ + 0, CAST(d AS CHAR), n + 0.0, e FROM t ORDER BY id"
    )
    assert (first[0], first[1], first[2], first[3], first[4], float(first[5]), first[6]) == (
        *("Grüße\x1e\x1a", "日本", None, 5, "2000-01-01", 7.0, "a"),
    )
    assert second[2] is None


def test_rows_of_a_keep_list_are_as_they_were_to_the_last_digit(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = """CREATE TABLE t (id INT PRIMARY KEY, n DECIMAL(30,10), f FLOAT, l VARCHAR(40) CHARACTER SET latin1, b BLOB, d DATE);
        INSERT INTO t VALUES (1, 12345678901234567890.0123456789, 0.1, 'Müller\\Z', x'001a1e', '2000-02-29'), (2, 1.5, 2.5, 'Maier', x'ff', '1999-09-09'), (3, NULL, NULL, NULL, NULL, NULL);"""
    policy = """tables: {t: {keep_rows: {where: "id <> 2", reason: staff}, columns: {id: keep, n: {mask: constant, value: 7}, f: {mask: constant, value: 7}, l: text,
        b: 'null', d: {mask: date_shift, days: 30}}}}"""
    with production(server, script) as (name, account):
        sync(mysql_bench, account, name, policy, scan=False)
        kept_rows = "SELECT id, n, CAST(f AS DOUBLE), l, b, CAST(d AS CHAR) FROM t WHERE id <> 2 ORDER BY id"
        assert mysql_bench.read("copy", kept_rows) == server.read(kept_rows, name)
    (masked,) = mysql_bench.read("copy", "SELECT n + 0.0, l, b FROM t WHERE id = 2")
    assert (float(masked[0]), masked[2]) == (7.0, None)
    assert masked[1] != "Maier"


@pytest.mark.parametrize(
    ("column", "other"),
    [
        ("VARCHAR(40) CHARACTER SET latin1", "'x'"),
        ("VARCHAR(40) CHARACTER SET ucs2", "'x'"),
        ("VARCHAR(40) CHARACTER SET utf8mb4", "x'ff'"),
        ("VARCHAR(40) CHARACTER SET cp1251", "x'1e'"),
        ("VARCHAR(40) CHARACTER SET utf8mb4", "'\x1f'"),
    ],
)
def test_a_kept_value_that_equals_what_was_masked_is_found_in_every_character_set(
    mysql_bench: MysqlBench, server: Server, column: str, other: str
) -> None:
    script = f"""CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40), shown {column}, other BLOB);
        INSERT INTO t SELECT seq, 'Zhöa', CONCAT('shop ', seq), {other} FROM {numbers(50)};
        UPDATE t SET shown = IF(CHARSET(shown) = 'cp1251', 'zhoa', 'ZHÖA'), name = IF(CHARSET(shown) = 'cp1251', 'Zhoa', name) WHERE id = 9;"""
    policy = "tables: {t: {columns: {id: keep, name: last_name, shown: keep, other: keep}}}"
    with (
        production(server, script) as (name, account),
        pytest.raises(Failed, match=r"copy: t\.shown \(1 row\)"),
    ):
        sync(mysql_bench, account, name, policy)


def test_whole_numbers_that_no_mask_can_hold_stop_the_sync_by_name(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY, n BIGINT UNSIGNED);\nINSERT INTO t VALUES (1, 18446744073709551615);"
    with (
        production(server, script) as (name, account),
        pytest.raises(Failed, match=r"t\.n holds whole numbers"),
    ):
        sync(mysql_bench, account, name, "tables: {t: {columns: {id: keep, n: token}}}", scan=False)


def test_a_masked_value_that_does_not_fit_is_refused_and_not_cut(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(3));\nINSERT INTO t VALUES (1, 'abc');"
    with production(server, script) as (name, account), opened(account, name) as snapshot:
        mysql_bench.database.create("copy")
        with mysql_bench.database.loader("copy") as loader:
            loader.begin(snapshot)
            with pytest.raises(Failed, match=r"does not fit t\.v \((1265|1406)\)") as caught:
                loader.copy("t", ("v",), lambda _: pl.DataFrame({"v": ["far too long"]}))
            assert "far" not in str(caught.value)
    mysql_bench.database.remove("copy")
    assert mysql_bench.database.names() == []


def test_a_table_that_is_altered_or_dropped_meanwhile_is_one_clear_error(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = "CREATE TABLE a (id INT PRIMARY KEY);\nCREATE TABLE b (id INT PRIMARY KEY);\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);"
    for change in ("ALTER TABLE b ADD extra INT NOT NULL DEFAULT 1", "DROP TABLE b"):
        with production(server, script) as (name, account), opened(account, name) as snapshot:
            server.execute(change, name)
            mysql_bench.database.create("copy")
            with mysql_bench.database.loader("copy") as loader, pytest.raises(Failed, match=r"\bb\b"):
                loader.begin(snapshot)
                loader.copy("a", (), lambda block: block.frame)
                loader.copy("b", (), lambda block: block.frame)
        mysql_bench.database.remove("copy")


@contextmanager
def written(server: Server, database: str) -> Iterator[None]:
    """Somebody adds to p and c, the reference after what it refers to, and removes from c, all the while."""
    stop, begun = threading.Event(), threading.Event()

    def write() -> None:
        with server.connected(database) as connection:
            cursor = connection.cursor()
            while not stop.is_set():
                cursor.execute("INSERT INTO p (v) VALUES ('new')")
                cursor.execute(f"INSERT INTO c (p) VALUES ({cursor.lastrowid})")
                cursor.execute("DELETE FROM c ORDER BY id LIMIT 1")
                begun.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        begun.wait(30)
        yield
    finally:
        stop.set()
        writer.join()


PARENTS = f"""CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9));
CREATE TABLE c (id INT AUTO_INCREMENT PRIMARY KEY, p INT NOT NULL, FOREIGN KEY (p) REFERENCES p (id));
INSERT INTO p (v) SELECT 'x' FROM {numbers(3000)};
INSERT INTO c (p) SELECT seq FROM {numbers(3000)};"""


def test_references_hold_while_production_goes_on_writing(mysql_bench: MysqlBench, server: Server) -> None:
    with production(server, PARENTS) as (name, _), written(server, name):
        report, notes = sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
    assert report.rows >= 6000
    assert notes == ()


def test_sessions_that_begin_while_others_write_see_one_moment(server: Server) -> None:
    with (
        production(server, PARENTS) as (name, _),
        written(server, name),
        opened(server.admin, name, 12) as snapshot,
    ):
        seen = {session.one("SELECT MAX(id) FROM p") for session in snapshot.sessions}
    assert len(snapshot.sessions) == 12
    assert len(seen) == 1


def test_production_can_be_migrated_while_it_is_read(server: Server) -> None:
    with production(server, PARENTS) as (name, account), opened(account, name) as snapshot:
        assert sum(block.frame.height for block in snapshot.blocks("p", ["v"])) == 3000
        server.execute("SET SESSION lock_wait_timeout = 2;\nALTER TABLE p ADD w INT, ALGORITHM = COPY;", name)


def test_several_sessions_see_one_moment_and_one_is_enough_where_nothing_may_be_locked(
    server: Server,
) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY);\nINSERT INTO t VALUES (1);"
    with production(server, script) as (name, account):
        server.execute(f"GRANT RELOAD ON *.* TO {name}")
        with opened(account, name, 3) as snapshot:
            server.execute("INSERT INTO t VALUES (2)", name)
            assert [session.one("SELECT COUNT(*) FROM t") for session in snapshot.sessions] == [b"1"] * 3
            assert snapshot.notes == ()
        server.execute(f"REVOKE RELOAD ON *.* FROM {name}")
        with opened(account, name, 3) as snapshot:
            assert len(snapshot.sessions) == 1
            assert "one session" in snapshot.notes[0]


@pytest.mark.parametrize("right", ["INSERT", "ALL PRIVILEGES", "SELECT, UPDATE", "CREATE TEMPORARY TABLES"])
def test_a_source_whose_account_may_write_is_refused_unless_that_is_allowed(
    server: Server, right: str
) -> None:
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY)", right) as (name, account):
        with pytest.raises(Refused) as caught, opened(account, name, allow_writable_source=False):
            pass
        assert caught.value.number == 533
        with opened(account, name, allow_writable_source=True):
            pass
    with (
        production(server, "CREATE TABLE t (id INT PRIMARY KEY)") as (name, account),
        opened(account, name, allow_writable_source=False) as snapshot,
    ):
        assert set(snapshot.schema().tables) == {"t"}


def test_what_the_account_cannot_see_is_a_problem_of_the_schema(server: Server) -> None:
    script = "CREATE TABLE seen (id INT PRIMARY KEY);\nCREATE TABLE unseen (id INT PRIMARY KEY);\nCREATE FUNCTION f () RETURNS INT RETURN 1;"
    with production(server, script, "EXECUTE") as (name, account):
        server.execute(f"GRANT SELECT ON {name}.seen TO {name}")
        with opened(account, name) as snapshot:
            first, second = snapshot.schema().problems
    assert f"SELECT on {name}.*" in first
    assert "bodies of f" in second


def test_one_services_accounts_reach_no_others_databases(server: Server) -> None:
    with server.service() as mine:
        others = MysqlDatabase(server.admin, f"{mine.slug}_x", b"k" * 32)
        mine.create("one")
        others.create("one")
        try:
            told = mine.relationship("one")
            with server.connected(user=told["username"], password=told["password"]) as connection:
                cursor = connection.cursor()
                cursor.execute("SHOW DATABASES")
                assert {name for (name,) in cursor.fetchall()} - {"performance_schema"} == {
                    "information_schema",
                    told["path"],
                }
            assert mine.names() == ["one"]
        finally:
            others.remove("one")
        assert mine.names() == ["one"]


def test_removing_ends_sessions_rights_and_at_last_the_accounts(server: Server) -> None:
    with server.service() as service:
        bench = MysqlBench(server, service)
        service.create("one")
        service.create("v-2")
        with bench.connection("one") as user:
            user.cursor().execute("SELECT 1")
            service.remove("one")
            with pytest.raises(Exception, match=r"2006|2013|4031|1927"):
                user.cursor().execute("SELECT 1")
        owner = service.relationship("v-2")["username"]
        assert (
            len(
                [
                    grant
                    for (grant,) in server.read(f"SHOW GRANTS FOR {owner}")
                    if "bl" in grant and " ON `" in grant
                ]
            )
            == 1
        )
        service.remove("v-2")
        assert server.read(f"SELECT COUNT(*) FROM mysql.user WHERE User LIKE '{owner}%'") == [(0,)]


def test_a_database_that_branchline_did_not_make_is_neither_listed_nor_removed(server: Server) -> None:
    with server.service() as service:
        name = f"bl_{service.slug}_one"
        server.execute(f"CREATE DATABASE {name}")
        try:
            assert service.names() == []
            service.remove("one")
            assert server.read(f"SHOW DATABASES LIKE '{name}'")
            with pytest.raises(Refused):
                service.create("one")
        finally:
            server.execute(f"DROP DATABASE {name}")


def test_an_account_that_cannot_see_whom_it_lets_in_makes_nothing(server: Server) -> None:
    server.execute(
        "CREATE USER little IDENTIFIED BY 'pass';\nGRANT CREATE, DROP, CREATE USER ON *.* TO little;"
    )
    try:
        service = MysqlDatabase(replace(server.admin, user="little", password="pass"), "little", b"k" * 32)
        for asked in (service.names, lambda: service.create("one")):
            with pytest.raises(Failed, match=r"no right to a table \(1142, (mysql\.)?db\)"):
                asked()
        assert server.read("SELECT User FROM mysql.user WHERE User LIKE 'bl_little%'") == []
        assert server.read("SHOW DATABASES LIKE 'bl_little%'") == []
    finally:
        server.execute("DROP USER little")


def test_a_server_that_takes_no_rows_from_its_client_is_told_before_any_is_read(
    mysql_bench: MysqlBench, server: Server
) -> None:
    mysql_bench.database.create("one")
    server.execute("SET GLOBAL local_infile = OFF")
    try:
        with (
            pytest.raises(Refused, match="local_infile is off") as caught,
            mysql_bench.database.loader("one"),
        ):
            pass
        assert caught.value.number == 530
    finally:
        server.execute("SET GLOBAL local_infile = ON")


def test_statements_of_a_policy_reach_the_copy_and_nothing_else(
    mysql_bench: MysqlBench, server: Server
) -> None:
    mysql_bench.database.create("live")
    mysql_bench.execute("live", "CREATE TABLE t (id INT PRIMARY KEY);\nINSERT INTO t VALUES (1);")
    live = mysql_bench.name("live")
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY);\nINSERT INTO t VALUES (1);") as (
        name,
        account,
    ):
        for statement in (
            f"DELETE FROM {live}.t",
            f"DELETE FROM {name}.t",
            "SET GLOBAL max_connections = 5",
            f"DROP USER {name}",
            "EXECUTE IMMEDIATE CONCAT(''SELECT `'', CHAR(99), ''anary` FROM t'')",
        ):
            policy = f"tables: {{t: {{columns: {{id: keep}}}}}}\ndisarm: {{sql: ['{statement}']}}"
            with pytest.raises(Failed) as caught:
                sync(mysql_bench, account, name, policy)
            assert caught.value.number == 508
            assert "canary" not in str(caught.value)
            mysql_bench.database.remove("copy")
        sync(
            mysql_bench, account, name, "tables: {t: {columns: {id: keep}}}\ndisarm: {sql: ['DELETE FROM t']}"
        )
    assert mysql_bench.read("live", "SELECT * FROM t") == [(1,)]
    assert mysql_bench.read("copy", "SELECT * FROM t") == []


def test_a_wrong_password_and_a_server_that_is_down_are_one_clear_error(server: Server) -> None:
    wrong = replace(server.admin, password="not it")
    with pytest.raises(Refused) as caught:
        Session(wrong)
    assert (caught.value.number, caught.value.__context__) == (522, None)
    with pytest.raises(Unavailable) as caught:
        Session(replace(server.admin, port=1))
    assert (caught.value.number, caught.value.__context__) == (523, None)
    assert "not it" not in f"{wrong!r} {caught.value!r}"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_session_that_the_server_ends_in_the_middle_is_one_clear_error(
    mysql_bench: MysqlBench, server: Server, side: str
) -> None:
    script = f"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40));\nINSERT INTO t SELECT seq, 'secret' FROM {numbers(90000)};"
    with production(server, script) as (name, account):
        mysql_bench.database.create("copy")
        with opened(account, name) as snapshot, mysql_bench.database.loader("copy") as loader:
            loader.begin(snapshot)
            ended = []

            def end(block):
                if not ended:
                    killed = snapshot.sessions[0] if side == "source" else loader.sessions[-1]
                    server.execute(f"KILL {killed.connection.thread_id()}")
                    ended.append(killed)
                return block.frame

            with pytest.raises(Unavailable) as caught:
                loader.copy("t", ("v",), end)
    assert caught.value.number == 523
    mysql_bench.database.remove("copy")
    assert mysql_bench.database.names() == []


def test_a_table_without_a_key_that_is_left_in_the_middle_ends_on_the_server(
    mysql_bench: MysqlBench, server: Server
) -> None:
    script = f"CREATE TABLE t (v TEXT);\nINSERT INTO t SELECT REPEAT(seq, 20) FROM {numbers(60000)};"

    def break_down(block):
        raise Refused(999, "no")

    with production(server, script) as (name, account):
        mysql_bench.database.create("copy")
        with opened(account, name) as snapshot, mysql_bench.database.loader("copy") as loader:
            loader.begin(snapshot)
            with pytest.raises(Refused, match="no"):
                loader.copy("t", ("v",), break_down)
        left = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = "
        while server.read(left + f"'{name}'") != [(0,)]:
            pass


def test_closing_a_session_ends_what_it_was_doing_on_the_server(server: Server) -> None:
    session = Session(server.admin)
    number = session.connection.thread_id()
    broken = []

    def wait() -> None:
        try:
            session.rows("SELECT SLEEP(600)")
        except Exception as error:  # noqa: BLE001 - whichever: it was cut off
            broken.append(error)

    running = threading.Thread(target=wait)
    running.start()
    while not server.read(
        f"SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {number} AND INFO LIKE '%SLEEP%'"
    ):
        pass
    session.close()
    while server.read(f"SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {number}"):
        pass
    running.join(60)
    assert broken


def test_a_database_is_the_same_by_whatever_account_it_is_reached(server: Server) -> None:
    with production(server, "") as (name, account), production(server, "") as (other, _):
        found = []
        for reached, database in ((account, name), (server.admin, name), (server.admin, other)):
            with opened(reached, database) as snapshot:
                found.append(snapshot.identity())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    "url", ["postgres://u@h/d", "mysql://u@h:port/", "mysql://u:s3cret@h/?ssl=1", "", "mysql://["]
)
def test_a_url_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        MysqlServer.from_url(url)
    assert "s3cret" not in str(caught.value)


def test_a_url_says_host_port_user_password_and_socket() -> None:
    server = MysqlServer.from_url("mysql://ada:p%40ss@db.example:3307/?socket=/run/my.sock")
    assert server == MysqlServer("db.example", 3307, "ada", "p@ss", "/run/my.sock")
    assert "p@ss" not in repr(server)


ORACLES_OWN = """
CREATE TABLE own (id INT NOT NULL, j JSON, name VARCHAR(40), v VECTOR(2), g POINT NOT NULL SRID 4326, made DATE DEFAULT (CURRENT_DATE), PRIMARY KEY (id DESC),
  KEY lowered ((LOWER(name))), KEY zips ((CAST(j->'$.zips' AS UNSIGNED ARRAY))), KEY unseen (name) INVISIBLE, SPATIAL KEY places (g),
  CONSTRAINT odd CHECK (id % 2 = 1) NOT ENFORCED) COLLATE utf8mb4_0900_as_cs;
INSERT INTO own VALUES (1, '{"zips": [94536, 10115], "n": 1.50, "ü": "\\\\u00e9\\\\"\\\\n", "none": null}', 'Zoë Ångström', TO_VECTOR('[1.5,-2]'), ST_GeomFromText('POINT(52 13)', 4326), '2020-02-29'),
  (2, NULL, NULL, NULL, ST_GeomFromText('POINT(0 0)', 4326), NULL), (3, '"text"', '', NULL, ST_GeomFromText('POINT(1 1)', 4326), '2021-01-01');
"""


def lines(created: str) -> list[str]:
    """Of a definition, in no order; MySQL says a table's own character set again where it was told it."""
    return sorted(re.sub(",(?=\n)| CHARACTER SET utf8mb4", "", created).split("\n"))


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
