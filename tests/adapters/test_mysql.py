"""What only MariaDB and MySQL have: their types and programs, accounts and grants, sessions that are ended, LOAD DATA's leniency."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import polars as pl
import pytest

from branchline.adapters.databases.mysql_connection import Session
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.errors import Failed, Refused, Unavailable
from tests.workshop.mysql import MysqlBench, Server, numbers
from tests.workshop.mysql_production import checksums, kept, production, sync
from tests.workshop.waiting import until

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


def every_type(server: Server) -> str:
    script = EVERY_TYPE
    for mariadbs, oracles in NOT_ORACLES.items() if server.oracle else ():
        assert mariadbs in script
        script = script.replace(mariadbs, oracles)
    return script


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


def test_programs_keep_their_letters_whoever_made_them(mysql_bench: MysqlBench, server: Server) -> None:
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(9));") as (name, _):
        with server.connected(name, charset="latin1") as connection:
            connection.cursor().execute(
                "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.w = 'Grüße'"
            )
            connection.cursor().execute("CREATE VIEW v AS SELECT 'Grüße' AS x")
        with server.connected(name) as connection:
            connection.cursor().execute("SET SESSION sql_mode = 'ANSI_QUOTES'")
            connection.cursor().execute('CREATE DEFINER = "my user"@"%" PROCEDURE p() SELECT 1 AS "DEFINER"')
        sync(mysql_bench, server.admin, name, kept(server, name), scan=False)
    mysql_bench.execute("copy", "INSERT INTO t (id) VALUES (9);")
    assert mysql_bench.read("copy", "SELECT w, x FROM t, v") == [("Grüße", "Grüße")]
    with mysql_bench.connection("copy") as connection:
        connection.cursor().execute("CALL p()")


@pytest.mark.parametrize("rule", ["percent: 50", "newest: 40, by: q"])
def test_a_subset_follows_keys_of_bytes_round_in_a_circle(
    mysql_bench: MysqlBench, server: Server, rule: str
) -> None:
    script = f"""CREATE TABLE h (id BINARY(16) PRIMARY KEY, p BINARY(16), q INT, FOREIGN KEY (p) REFERENCES h (id));
        INSERT INTO h SELECT UNHEX(LEFT(SHA2(seq, 256), 32)), NULL, seq FROM {numbers(100)};
        UPDATE h AS c JOIN h AS o ON o.q = c.q * 7 % 101 SET c.p = o.id;"""
    policy = f"tables: {{h: {{subset: {{{rule}}}, columns: {{id: keep, p: keep, q: keep}}}}}}"
    with production(server, script) as (name, account):
        report, _ = sync(mysql_bench, account, name, policy, scan=False)
    left = (
        "SELECT COUNT(*) FROM h WHERE p IS NOT NULL AND p NOT IN (SELECT id FROM (SELECT id FROM h) AS all_)"
    )
    assert mysql_bench.read("copy", left) == [(0,)]
    assert report.rows < 100


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


def test_a_sync_that_waits_for_the_source_ends_when_it_is_told_to(
    mysql_bench: MysqlBench, server: Server
) -> None:
    reading = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(300%' AND USER = "
    script = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40));\nINSERT INTO t VALUES (1, 'a'), (2, 'b');"
    policy = 'tables: {t: {where: "id = 0 OR SLEEP(300 + id) = 0", columns: {id: keep, v: first_name}}}'
    with production(server, script) as (name, account), ThreadPoolExecutor(1) as beside:

        def press() -> None:
            until(lambda: server.read(reading + f"'{name}'") != [(0,)])
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        pressed = beside.submit(press)
        with pytest.raises(KeyboardInterrupt):
            sync(mysql_bench, account, name, policy)
        pressed.result()
        until(lambda: server.read(reading + f"'{name}'") == [(0,)])


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
