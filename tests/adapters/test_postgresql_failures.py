"""What ends a copy of a PostgreSQL database before its end: one clear error without a value in it, and nothing left."""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from branchline.adapters.databases import postgresql_snapshot
from branchline.adapters.databases.postgresql import PostgresqlDatabase
from branchline.adapters.databases.postgresql_connection import PostgresqlServer, copy_in
from branchline.adapters.databases.postgresql_snapshot import READING, opened
from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.postgres import Server
from tests.workshop.postgresql_bench import HeldUp, PostgresqlBench, bench_on
from tests.workshop.waiting import until

CANARY = "Zebulon Quagmire zq@canary.example"
ROWS = f"""
CREATE TABLE first (id int PRIMARY KEY, secret text, kept text);
INSERT INTO first SELECT i, '{CANARY} ' || i, '{CANARY}' FROM generate_series(1, 3000) i;
CREATE TABLE later (id int PRIMARY KEY, v text DEFAULT '{CANARY}');
INSERT INTO later (id) SELECT i FROM generate_series(1, 10) i;
ANALYZE;
"""
STOPPED = {
    masked: f"""
tables:
  first: {{where: "{HeldUp.until_released}", columns: {{id: keep, secret: {mask}, kept: keep}}}}
  later: {{where: id > 0, columns: {{id: keep, v: keep}}}}
"""
    for masked, mask in (("straight", "keep"), ("masked", "text"))
}


@pytest.fixture(params=[-1, 2**20], ids=["psql", "itself"])
def bench(
    postgres: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PostgresqlBench]:
    """One table after the other, read by programs or by this process itself."""
    monkeypatch.setattr(postgresql_snapshot, "READ_AT_ONCE", request.param)
    with bench_on(postgres, jobs=1) as made:
        made.database.create("one")
        yield made


@pytest.fixture
def nothing_left(bench: PostgresqlBench) -> Iterator[None]:
    """Afterwards no client program runs, nobody is connected, production is as it was, and the half-made version goes."""
    yield
    until(lambda: not _clients())
    until(lambda: not bench.sessions())
    assert "copy" in bench.database.names()
    bench.database.remove("copy")
    assert bench.database.names() == ["one"]


def _clients() -> list[str]:
    found = []
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(each.name())
    return [name for name in found if name.startswith(("psql", "pg_"))]


def begun(bench: PostgresqlBench, policy: str) -> Future[object]:
    """A sync in a thread of its own."""
    pool = ThreadPoolExecutor(1)
    future: Future[object] = pool.submit(bench.sync, policy, scan=False)
    pool.shutdown(wait=False)
    return future


def failed(future: Future[object], seen: Callable[[BaseException], str]) -> BranchlineError:
    with pytest.raises(BranchlineError) as caught:
        future.result(60)
    assert "Zebulon" not in seen(caught.value)
    assert "canary" not in seen(caught.value)
    return caught.value


def trusting(server: PostgresqlServer) -> bool:
    """Whether a server that was given to the tests lets everybody in."""
    with suppress(Refused), replace(server, password="none of them").connect("postgres"):
        return True
    return False


def test_a_wrong_password_and_a_server_that_is_down_are_told_apart(postgres: Server, seen) -> None:
    server, _ = PostgresqlServer.from_url(postgres.url_of("postgres"))
    password = [] if trusting(server) else [(replace(server, password="swordfish"), Refused, 522)]
    for wrong, kind, number in (
        *password,
        (replace(server, user="nobody_here"), Refused, 522),
        (replace(server, port=1), Unavailable, 523),
        (replace(server, host="no.such.host.invalid"), Unavailable, 523),
    ):
        with pytest.raises(kind) as caught:
            PostgresqlDatabase(wrong, "shop", b"s").names()
        assert caught.value.number == number
        assert "swordfish" not in seen(caught.value)
        assert server.password not in seen(caught.value)
    with pytest.raises(Refused) as caught, opened(server, "nothing_here"):
        pass
    assert caught.value.number == 522


@pytest.mark.parametrize("url", ["", "postgresql://", "mysql://u@h/d", "postgresql://h/d", "postgresql://u:swordfish@a,b/d", "postgresql://u:swordfish@h/d?options=-csearch_path", "postgresql://u:swordfish@h:x/d"])  # fmt: skip
def test_an_address_that_is_none_is_refused_without_its_password(url: str, seen) -> None:
    with pytest.raises(BadInput) as caught:
        PostgresqlServer.from_url(url)
    assert caught.value.number == 521
    assert "swordfish" not in seen(caught.value)


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.usefixtures("nothing_left")
def test_a_reading_session_that_is_killed_is_one_clear_error(bench: PostgresqlBench, how: str, seen) -> None:
    bench.execute("one", ROWS)
    with bench.held_up("one") as reading:
        sync = begun(bench, STOPPED[how])
        reading.connection.execute("SELECT pg_terminate_backend(%s)", (reading.wait(),))
        error = failed(sync, seen)
    assert (type(error), error.number) == (Unavailable, 523)
    assert "first" in error.message


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.usefixtures("nothing_left")
def test_a_writing_session_that_is_killed_is_one_clear_error(bench: PostgresqlBench, how: str, seen) -> None:
    bench.execute("one", ROWS)
    with bench.held_up("one") as reading:
        sync = begun(bench, STOPPED[how])
        reading.wait()
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY%%'"
        until(lambda: reading.connection.execute(kill, (bench.physical("copy"),)).fetchall())
        reading.release()
        error = failed(sync, seen)
    assert (type(error), error.number) == (Unavailable, 523)


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.usefixtures("nothing_left")
def test_ctrl_c_ends_programs_and_sessions_though_they_wait(
    bench: PostgresqlBench, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READING, "lock_timeout", "0")
    bench.execute("one", ROWS)
    ours = "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s) AND pid <> %s"
    databases = [bench.physical(name) for name in ("one", "copy")]
    ended = threading.Event()

    def press(reading: HeldUp) -> None:
        reading.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        try:
            until(ended.is_set)
        finally:
            reading.release()

    with bench.held_up("one") as reading, ThreadPoolExecutor(1) as beside:
        pressing = beside.submit(press, reading)
        with pytest.raises(KeyboardInterrupt):
            bench.sync(STOPPED[how], scan=False)
        with bench.admin.connect("postgres") as other:
            mine = reading.connection.info.backend_pid
            until(lambda: pressing.done() or not other.execute(ours, (databases, mine)).fetchall())
        ended.set()
        pressing.result()


@pytest.mark.usefixtures("nothing_left")
def test_a_copy_whose_server_takes_no_rows_ends_when_it_is_told_to(bench: PostgresqlBench) -> None:
    bench.execute("one", "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
    bench.database.create("copy")
    with (
        bench.database.snapshot("one") as source,
        bench.database.loader("copy") as target,
        ThreadPoolExecutor(1) as beside,
        bench.connection("copy") as holding,
    ):
        target.begin(source)
        there = "SELECT count(*) FROM pg_class WHERE relname = 't'"
        until(lambda: holding.execute(there).fetchone() == (1,))
        with holding.transaction():
            holding.execute("LOCK TABLE t")
            copying = beside.submit(target.copy, "t", [], lambda block: block.frame)
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass"
            until(lambda: holding.execute(waiting).fetchone() == (1,))
            target.stop()
            with pytest.raises(Unavailable, match=r"^Copying t: .* \[B523\]"):
                copying.result(timeout=30)


def test_what_the_server_says_of_a_copy_that_was_cut_short_is_logged_by_nobody(
    bench: PostgresqlBench, caplog: pytest.LogCaptureFixture
) -> None:
    def cut_short() -> Iterator[bytes]:
        yield f"{CANARY}\n".encode()
        raise ValueError("cut short")

    bench.execute("one", "CREATE TABLE t (id int)")
    with bench.connection("one") as target, pytest.raises(ValueError, match=r"^cut short$"):
        copy_in(target, "COPY t FROM STDIN", cut_short())
    assert "Zebulon" not in caplog.text


def test_what_ends_a_copy_is_not_told_to_the_server(bench: PostgresqlBench, tmp_path: Path) -> None:
    def cut_short() -> Iterator[bytes]:
        yield b"1\tone\n"
        raise ValueError(CANARY)

    bench.execute("one", "CREATE TABLE t (id int, v text)")
    with bench.connection("one") as target, (tmp_path / "sent").open("wb") as sent:
        target.pgconn.trace(sent.fileno())
        with pytest.raises(ValueError, match=CANARY):
            copy_in(target, "COPY t FROM STDIN", cut_short())
        target.pgconn.untrace()
        target.rollback()
        assert target.execute("SELECT count(*) FROM t").fetchone() == (0,)
    told = (tmp_path / "sent").read_bytes()
    assert b"CopyFail" in told
    assert b"Zebulon" not in told


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("DROP TABLE later", Failed),
        ("ALTER TABLE later DROP COLUMN v", Failed),
        ("TRUNCATE later", Unavailable),
        ("ALTER TABLE later ALTER id TYPE bigint", Unavailable),
        ("DROP TABLE later; CREATE TABLE later (id int, v text)", Unavailable),
    ],
)
@pytest.mark.usefixtures("nothing_left")
def test_a_table_that_is_changed_meanwhile_waits_for_nobody_and_ends_the_copy(
    bench: PostgresqlBench, statement: str, kind: type, seen
) -> None:
    bench.execute("one", ROWS)
    with bench.held_up("one") as reading:
        sync = begun(bench, STOPPED["straight"])
        reading.wait()
        bench.execute("one", f"SET lock_timeout = '5s'; {statement}")
        reading.release()
        error = failed(sync, seen)
    assert type(error) is kind
    assert "later" in error.message


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.usefixtures("nothing_left")
def test_a_table_that_was_read_and_then_emptied_is_copied_all_the_same(
    bench: PostgresqlBench, how: str
) -> None:
    """What changes behind the moment that is copied, and leaves files as they are, is of no concern."""
    bench.execute("one", ROWS)
    with bench.held_up("one") as reading:
        sync = begun(bench, STOPPED[how])
        reading.wait()
        bench.execute(
            "one",
            "SET lock_timeout = '5s'; DELETE FROM later; DELETE FROM first; ALTER TABLE later ADD COLUMN more int",
        )
        reading.release()
        sync.result(60)
    assert bench.read("copy", "SELECT (SELECT count(*) FROM first), (SELECT count(*) FROM later)") == [
        (3000, 10)
    ]


@pytest.mark.usefixtures("nothing_left")
def test_a_table_that_the_account_may_not_read_is_named(bench: PostgresqlBench, seen) -> None:
    bench.execute("one", ROWS)
    role, password = f"r{secrets.token_hex(4)}", secrets.token_hex(8)
    with bench.admin.connect(bench.physical("one")) as admin:
        admin.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'; GRANT SELECT ON first TO {role}; GRANT CONNECT ON DATABASE \"{bench.physical('one')}\" TO {role}".encode()
        )
    try:
        bench.database.create("copy")
        policy = read_policy(
            "tables: {first: {columns: {id: keep, secret: text, kept: keep}}, later: {columns: {id: keep, v: keep}}}"
        )
        with (
            pytest.raises(Failed, match="permission denied for table later") as caught,
            opened(bench.admin.as_user(role, password), bench.physical("one")) as source,
            bench.database.loader("copy") as target,
        ):
            replicate(source, target, policy)
        assert password not in seen(caught.value)
    finally:
        with bench.admin.connect(bench.physical("one")) as admin:
            admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.mark.parametrize(
    ("schema", "rules", "said"),
    [
        ("CREATE TABLE t (id int PRIMARY KEY, v text, k text); CREATE UNIQUE INDEX shorter ON t (left(v, 1), k)",
         "{columns: {id: keep, v: token, k: keep}}", 'could not create unique index "shorter"'),
        ("CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v LIKE '%Zebulon%'), k text)",
         "{columns: {id: keep, v: token, k: keep}}", "check violation table t constraint t_v_check (23514)"),
        (("CREATE FUNCTION good(text, text) RETURNS bool LANGUAGE plpgsql AS"
         " 'BEGIN IF $1 NOT LIKE ''%Zeb%'' THEN RAISE ''relation % does not exist'', $2; END IF; RETURN true; END';"
         "CREATE TABLE t (id int PRIMARY KEY, v text, k text, CHECK (good(v, k)))"),
         "{columns: {id: keep, v: token, k: keep}}", "raise exception (P0001)"),
        ("CREATE TABLE t (id int PRIMARY KEY, v text, k text, n smallint DEFAULT 5)",
         "{columns: {id: keep, v: token, k: keep, n: {mask: constant, value: 70000}}}", "numeric value out of range (22003)"),
        (
            ("CREATE FUNCTION loud(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS"
            " 'BEGIN IF $1 NOT LIKE ''%Zeb%'' THEN RAISE ''relation % does not exist'', split_part($2, '' '', 1); END IF; RETURN $1; END';"
            "CREATE TABLE t (id int PRIMARY KEY, v text, k text); CREATE INDEX i ON t (loud(v, k))"),
            "{columns: {id: keep, v: token, k: keep}}",
            "what it said is withheld",
        ),
        ("CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (id int PRIMARY KEY, v text, k text, m e DEFAULT 'a')",
         "{columns: {id: keep, v: token, k: keep, m: {mask: constant, value: b}}}", "invalid text representation (22P02)"),
        ("CREATE TABLE t (id int PRIMARY KEY, v text, k text); CREATE TABLE of_it (k text, t int REFERENCES t); ",
         "{where: id < 0, columns: {id: keep, v: token, k: keep}}, of_it: {columns: {k: keep, t: keep}}", "violates foreign key constraint"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nothing_left")
def test_what_the_server_says_of_values_is_not_told(
    bench: PostgresqlBench, schema: str, rules: str, said: str, seen
) -> None:
    bench.execute("one", schema)
    bench.execute(
        "one",
        f"INSERT INTO t (id, v, k) SELECT i, chr(64 + i) || ' {CANARY}', '{CANARY}' FROM generate_series(1, 40) i",
    )
    if "of_it" in schema:
        bench.execute("one", f"INSERT INTO of_it SELECT '{CANARY}', id FROM t")
    with pytest.raises(Failed) as caught:
        bench.sync(f"tables: {{t: {rules}}}")
    assert caught.value.number == 524
    assert said in caught.value.message
    assert "Zebulon" not in seen(caught.value)
    assert "canary" not in seen(caught.value)


@pytest.mark.usefixtures("nothing_left")
def test_disarming_is_one_statement_of_the_applications_own_account(bench: PostgresqlBench, seen) -> None:
    bench.execute("one", "CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    bench.database.create("copy")
    with bench.database.snapshot("one") as source, bench.database.loader("copy") as target:
        replicate(source, target, read_policy("tables: {t: {columns: {id: keep}}}"))
        for statement in (
            "DELETE FROM t; DELETE FROM t",
            "RESET ROLE; DROP TABLE t",
            "COPY t TO PROGRAM 'true'",
            "COPY t TO STDOUT",
            "SELECT nothing",
            f"SELECT '{CANARY}'::int",
            "DO $$ BEGIN EXECUTE format('SELECT %I FROM t', chr(99) || 'anary'); END $$",
        ):
            for disarm in (target.execute, target.answer):
                with pytest.raises(Failed) as caught:
                    disarm(statement)
                assert caught.value.number == 508
                assert "canary" not in seen(caught.value)
        with pytest.raises(Failed):
            target.answer("DELETE FROM t RETURNING 1")
        assert target.answer("SELECT count(*) FROM t") == [(1,)]
        target.execute("DELETE FROM t")
        assert target.answer("SELECT count(*) FROM t") == [(0,)]


def test_code_of_the_source_runs_as_the_copys_owner(bench: PostgresqlBench) -> None:
    bench.execute(
        "one",
        """CREATE FUNCTION climbs(int) RETURNS bool LANGUAGE plpgsql AS
          $$ BEGIN EXECUTE 'RESET ROLE'; RETURN NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user); END $$;
        CREATE TABLE t (id int CHECK (climbs(id))); INSERT INTO t VALUES (1)""",
    )
    bench.sync("tables: {t: {columns: {id: keep}}}")
    assert bench.read("copy", "SELECT count(*) FROM t") == [(1,)]


def test_what_production_writes_meanwhile_breaks_no_reference_and_waits_for_nobody(
    postgresql_bench: PostgresqlBench,
) -> None:
    bench = postgresql_bench
    bench.database.create("one")
    bench.execute(
        "one",
        """CREATE TABLE parent (id int PRIMARY KEY, email text); CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent);
        INSERT INTO parent SELECT i, i || '@m.example' FROM generate_series(1, 20000) i; INSERT INTO child SELECT id, id FROM parent""",
    )
    over, written = threading.Event(), []

    def write() -> None:
        with bench.connection("one") as writer:
            writer.execute("SET lock_timeout = '2s'")
            number = 100_000
            while not over.is_set():
                number += 1
                writer.execute("INSERT INTO parent VALUES (%s, %s)", (number, f"{number}@m.example"))
                writer.execute("INSERT INTO child VALUES (%s, %s)", (number, number))
                writer.execute("DELETE FROM child WHERE id = %s", (number - 100_000,))
                writer.execute("DELETE FROM parent WHERE id = %s", (number - 100_000,))
                writer.commit()
                written.append(number)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        stages: dict[str, int] = {}
        try:
            until(lambda: written)
            bench.sync(
                "tables: {parent: {columns: {id: keep, email: email}}, child: {columns: {id: keep, parent: keep}}}",
                progress=lambda progress: stages.setdefault(progress.stage, len(written)),
            )
        finally:
            over.set()
        writing.result(30)
    assert stages["copy"] < stages["prove"] < len(written)
    ((parents, children, widows),) = bench.read(
        "copy",
        "SELECT (SELECT count(*) FROM parent), (SELECT count(*) FROM child),"
        " (SELECT count(*) FROM child WHERE parent NOT IN (SELECT id FROM parent))",
    )
    assert (parents, children, widows) == (20_000, 20_000, 0)
    assert bench.read("copy", "SELECT count(*) FROM parent WHERE id > 100000")[0][0] < len(written)
