"""State on PostgreSQL: what only a server can do wrong, in words and without its password."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import insert, make_url, select, text

from branchline.errors import BadInput, BranchlineError, Failed, Unavailable
from branchline.state import tables
from branchline.state.database import StateDatabase
from branchline.state.postgresql_engine import LOCK
from tests.workshop.another_process import another_process
from tests.workshop.postgres import Server, connected
from tests.workshop.waiting import until


@pytest.fixture
def state(postgres_url: str) -> Iterator[StateDatabase]:
    made = StateDatabase(postgres_url)
    yield made
    made.close()


def cut_off(url: str) -> None:
    """As when the server is restarted: nobody's connection to this database stays."""
    with connected(url) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def tokens(state: StateDatabase) -> list[int]:
    with state.read() as session:
        return list(session.scalars(select(tables.FencingToken.last)))


# getting in


def refused(url: str) -> BranchlineError:
    with pytest.raises(BranchlineError) as said:
        StateDatabase(url)
    for secret in ("hunter2", make_url(url).password or "hunter2"):
        assert secret not in str(said.value)
        assert secret not in repr(said.value)
    return said.value


def test_a_server_that_is_down_is_unavailable(tmp_path: object) -> None:
    error = refused(f"postgresql+psycopg://ada:hunter2@/state?host={tmp_path}")
    assert (type(error), error.number) == (Unavailable, 306)
    error = refused("postgresql+psycopg://ada:hunter2@127.0.0.1:1/state")
    assert (type(error), error.number) == (Unavailable, 306)
    assert "state on 127.0.0.1:1 does not answer" in error.message
    assert "Connection refused" in error.message


def test_a_host_without_an_address_is_unavailable() -> None:
    assert refused("postgresql+psycopg://ada:hunter2@nowhere.invalid/state").number == 306


def test_a_wrong_password_user_or_database_is_bad_input_in_the_servers_words(postgres: Server) -> None:
    for url, said in (
        (postgres.url_of("postgres", password="hunter2"), "password authentication failed for user"),
        (postgres.url_of("postgres") + "&password=hunter2", "password authentication failed for user"),
        (postgres.url_of("postgres", username="mallory"), "authentication failed for user"),
        (postgres.url_of("no_such_database"), 'database "no_such_database" does not exist'),
    ):
        error = refused(url)
        assert (type(error), error.number) == (BadInput, 307)
        assert said in error.message


def test_an_option_that_libpq_does_not_know_is_bad_input(postgres_url: str) -> None:
    for option in ("nonsense=1", "options=-cnonsense=1"):
        error = refused(f"{postgres_url}&{option}")
        assert (type(error), error.number) == (BadInput, 308)


def test_a_database_that_cannot_keep_every_letter_is_refused(postgres: Server) -> None:
    name = f"branchline_{secrets.token_hex(6)}"
    with connected(postgres.url_of("postgres")) as admin:
        provider = "LOCALE_PROVIDER libc" if admin.info.server_version >= 150000 else ""
    postgres.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' {provider} LOCALE 'C' TEMPLATE template0")
    try:
        error = refused(postgres.url_of(name))
        assert (type(error), error.number) == (BadInput, 307)
        assert "has the encoding SQL_ASCII, not UTF8" in error.message
    finally:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_urls_own_options_of_libpq_are_kept(postgres_url: str) -> None:
    state = StateDatabase(f"{postgres_url}&application_name=mine&connect_timeout=3")
    with state.read() as session:
        assert session.scalar(text("SHOW application_name")) == "mine"
    state.close()


def test_a_url_without_a_driver_is_psycopgs(postgres_url: str) -> None:
    StateDatabase(postgres_url.replace("postgresql+psycopg", "postgresql")).close()


# what a user may


@contextmanager
def user(postgres: Server, url: str) -> Iterator[tuple[str, str]]:
    """One who owns nothing; its name and URL."""
    name = f"bob_{secrets.token_hex(4)}"
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hunter2'")
    try:
        yield name, make_url(url).set(username=name, password="hunter2").render_as_string(hide_password=False)
    finally:
        with connected(url) as admin:
            admin.execute(f"DROP OWNED BY {name}")
        postgres.execute(f"DROP ROLE {name}")


def test_a_user_who_may_not_make_tables_is_told(postgres: Server, postgres_url: str) -> None:
    with connected(postgres_url) as admin:
        admin.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    with user(postgres, postgres_url) as (_, url):
        error = refused(url)
    assert (type(error), error.number) == (Failed, 302)
    assert "permission denied for schema public" in error.message
    assert "use-postgresql.md" in error.hint


def test_a_user_who_may_only_read_reads_and_is_told_when_it_writes(
    postgres: Server, postgres_url: str, state: StateDatabase
) -> None:
    with user(postgres, postgres_url) as (name, url):
        with connected(postgres_url) as admin:
            admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
        reader = StateDatabase(url)
        assert tokens(reader) == []
        with (
            pytest.raises(Failed, match="cannot be written: permission denied") as said,
            reader.write() as it,
        ):
            it.execute(insert(tables.FencingToken).values(id=1, last=7))
        assert said.value.number == 302
        reader.close()


def test_a_server_that_only_reads_says_so(state: StateDatabase) -> None:
    with (
        pytest.raises(Failed, match="cannot execute INSERT in a read-only") as said,
        state.write() as session,
    ):
        session.execute(text("SET TRANSACTION READ ONLY"))
        session.execute(insert(tables.FencingToken).values(id=1, last=7))
    assert said.value.number == 302


# connections that break


def test_a_connection_that_broke_since_the_last_use_is_replaced_unnoticed(
    state: StateDatabase, postgres_url: str
) -> None:
    assert tokens(state) == []
    cut_off(postgres_url)
    with state.write() as session:
        session.execute(insert(tables.FencingToken).values(id=1, last=7))
    cut_off(postgres_url)
    assert tokens(state) == [7]


def test_a_connection_that_breaks_in_a_write_is_unavailable_and_nothing_is_written(
    state: StateDatabase, postgres_url: str
) -> None:
    with pytest.raises(Unavailable, match="does not answer: terminating connection") as said:  # noqa: SIM117
        with state.write() as session:
            session.execute(insert(tables.FencingToken).values(id=1, last=7))
            cut_off(postgres_url)
            session.execute(insert(tables.FencingToken).values(id=2, last=8))
    assert said.value.number == 306
    assert tokens(state) == []


def test_a_connection_that_breaks_before_the_commit_is_unavailable_and_nothing_is_written(
    state: StateDatabase, postgres_url: str
) -> None:
    with pytest.raises(Unavailable) as said, state.write() as session:
        session.execute(insert(tables.FencingToken).values(id=1, last=7))
        cut_off(postgres_url)
    assert said.value.number == 306
    assert tokens(state) == []


def test_a_connection_that_breaks_in_a_read_is_unavailable(state: StateDatabase, postgres_url: str) -> None:
    with pytest.raises(Unavailable), state.read() as session:
        cut_off(postgres_url)
        session.scalars(select(tables.FencingToken.last)).all()
        cut_off(postgres_url)
        session.scalars(select(tables.FencingToken.last)).all()


def test_a_process_that_is_stopped_in_a_write_is_cut_off_and_writes_nothing_when_it_goes_on(
    state: StateDatabase, postgres_url: str
) -> None:
    """Others wait no longer than they would for a living one."""
    writing = """
    database.BUSY_SECONDS = 0.4
    state = database.StateDatabase(url)
    with state.write() as session:
        session.execute(insert(tables.FencingToken).values(id=1, last=7))
        say("in")
        wait()
        session.execute(update(tables.FencingToken).values(last=8))
    say("done")
    """
    with another_process(postgres_url, writing) as other:
        assert other.says() == "in"
        other.process.send_signal(signal.SIGSTOP)
        with state.write() as session:
            assert session.scalars(select(tables.FencingToken.last)).all() == []
        other.process.send_signal(signal.SIGCONT)
        other.go_on()
        assert other.says() == "B306"
    assert tokens(state) == []


def test_a_lost_table_is_said_in_the_servers_words(state: StateDatabase, postgres_url: str) -> None:
    with connected(postgres_url) as admin:
        admin.execute("DROP TABLE beats")
    with pytest.raises(Failed, match='failed: relation "beats" does not exist') as said, state.read() as it:
        it.execute(select(tables.Beat.name))
    assert said.value.number == 304


def test_a_driver_that_repeats_the_password_is_not_repeated(state: StateDatabase) -> None:
    password = state.url.password
    assert password
    with pytest.raises(Failed, match=r"invalid input syntax.*\*\*\*") as said, state.write() as session:
        session.execute(text("SELECT CAST(:password AS integer)").bindparams(password=password))
    assert said.value.number == 304
    assert password not in str(said.value)


# a server's sessions


def test_a_write_holds_the_lock_and_gives_it_back(state: StateDatabase, postgres_url: str) -> None:
    def held() -> int:
        with connected(postgres_url) as other:
            count = "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory' AND datname = current_database() AND (classid::bigint << 32) + objid::bigint = %s"
            row = other.execute(count, (LOCK,)).fetchone()
            assert row is not None
            return int(row[0])

    assert held() == 0
    with state.write():
        assert held() == 1
    assert held() == 0
    with state.read():
        assert held() == 0


def test_what_is_acknowledged_is_durable_even_where_the_server_takes_it_lightly(
    postgres_url: str, state: StateDatabase
) -> None:
    with connected(postgres_url) as admin:
        admin.execute(f"ALTER DATABASE {make_url(postgres_url).database} SET synchronous_commit = off")
    fresh = StateDatabase(postgres_url)
    with fresh.write() as session:
        assert session.scalar(text("SHOW synchronous_commit")) == "on"
    fresh.close()


def test_a_closed_state_leaves_no_session_on_the_server(postgres_url: str) -> None:
    made = StateDatabase(postgres_url)
    assert tokens(made) == []
    made.close()
    with connected(postgres_url) as other:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        until(lambda: other.execute(count).fetchone() == (0,))
