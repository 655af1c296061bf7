"""Accounts of MariaDB and MySQL: whom Branchline lets in, what they reach, and what an account that reads may do."""

from dataclasses import replace

import pytest

from branchline.adapters.databases.mysql import MysqlDatabase
from branchline.adapters.databases.mysql_connection import MysqlServer
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.errors import BadInput, Failed, Refused, Unavailable
from tests.workshop.mysql import MysqlBench, Server
from tests.workshop.mysql_production import production, sync


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


def test_an_administrator_with_the_documented_rights_and_no_more_is_enough(server: Server) -> None:
    script = """CREATE TABLE t (id INT PRIMARY KEY, email VARCHAR(90));
        INSERT INTO t VALUES (1, 'ann@shop.example');
        CREATE VIEW v AS SELECT id FROM t;
        CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
        CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + f();"""
    own = "SET_ANY_DEFINER, SHOW_ROUTINE, CONNECTION_ADMIN" if server.oracle else "SET USER, CONNECTION ADMIN"
    server.execute(
        "CREATE USER little IDENTIFIED BY 'pass';\nGRANT CREATE USER, PROCESS ON *.* TO little;\nGRANT SELECT ON mysql.* TO little;\n"
        f"GRANT ALL PRIVILEGES ON `bl\\_%`.* TO little WITH GRANT OPTION;\nGRANT {own} ON *.* TO little;"
    )
    little = MysqlDatabase(replace(server.admin, user="little", password="pass"), "little", b"k" * 32)
    bench = MysqlBench(server, little)
    policy = "tables: {t: {columns: {id: keep, email: email}}}"
    try:
        with production(server, script) as (name, _):
            sync(bench, server.admin, name, policy)
        bench.execute("copy", "INSERT INTO t VALUES (1, 'a');")
        assert bench.read("copy", "SELECT id FROM v ORDER BY 1") == [(1,), (2,)]
        little.clone("copy", "two")
        with bench.connection("two") as user:
            user.cursor().execute("SELECT 1")
            little.remove("two")
        assert little.names() == ["copy"]
    finally:
        little.remove("copy")
        server.execute("DROP USER little")


def test_a_role_that_could_be_taken_on_counts_as_the_accounts_own_right(server: Server) -> None:
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY)") as (name, account):
        server.execute(
            f"CREATE ROLE {name}_w;\nGRANT INSERT ON {name}.* TO {name}_w;\nGRANT {name}_w TO {name};"
        )
        try:
            with (
                pytest.raises(Refused, match=r"INSERT on|the role .* whose rights it may not see") as caught,
                opened(account, name, allow_writable_source=False),
            ):
                pass
            assert caught.value.number == 533
        finally:
            server.execute(f"DROP ROLE {name}_w")


def test_programs_that_the_account_cannot_see_are_told_to_be_missing(server: Server) -> None:
    with production(server, "CREATE TABLE t (id INT PRIMARY KEY)") as (name, account):
        with opened(account, name) as snapshot:
            (note,) = snapshot.notes
        with opened(server.admin, name) as snapshot:
            assert snapshot.notes == ()
    for missing in ("triggers (TRIGGER)", "events (EVENT)", "functions and procedures"):
        assert missing in note


def test_changes_of_one_service_wait_for_each_other_and_not_for_ever(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("branchline.adapters.databases.mysql.PATIENCE", 1)
    with server.service() as service, server.connected() as other:
        other.cursor().execute(f"SELECT GET_LOCK('branchline {service.slug}', 0)")
        for change in (service.create, service.remove):
            with pytest.raises(Unavailable, match="others are at it"):
                change("one")
        other.cursor().execute(f"SELECT RELEASE_LOCK('branchline {service.slug}')")
        service.create("one")
        assert service.names() == ["one"]


def test_the_account_that_fills_a_version_goes_with_it_when_a_crash_left_it(server: Server) -> None:
    with server.service() as service:
        service.create("one")
        left = service.loader("one")
        left.__enter__()
        there = "SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'bl\\_once\\_%'"
        assert server.read(there) == [(1,)]
        service.remove("one")
        assert server.read(there) == [(0,)]


def test_a_value_that_looks_like_a_name_is_not_told(server: Server) -> None:
    script = "CREATE TABLE t (id INT PRIMARY KEY, k VARCHAR(99));\nINSERT INTO t VALUES (1, 'table ''Hans Peter.'' x');"
    policy = (
        "tables: {t: {columns: {id: keep, k: keep}}}\ndisarm: {sql: ['UPDATE t SET id = CAST(k AS SIGNED)']}"
    )
    with (
        server.bench() as bench,
        production(server, script) as (name, account),
        pytest.raises(Failed) as caught,
    ):
        sync(bench, account, name, policy)
    assert (caught.value.number, "Hans" in str(caught.value)) == (508, False)
