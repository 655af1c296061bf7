"""What is asked about a PostgreSQL database that was there before: who may write to it, which it is, how far behind."""

import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from branchline.adapters.databases.postgresql import PostgresqlDatabase
from branchline.adapters.databases.postgresql_existing import PostgresqlExisting
from branchline.adapters.databases.replication_lag import ASKED_EVERY, PATIENCE, LagWatch
from branchline.errors import Unavailable
from tests.workshop.postgres import Server, connected, newest_binaries, private_server, standby_of


@pytest.fixture
def account(postgres: Server, postgres_url: str) -> Iterator["Account"]:
    made = Account(postgres, postgres_url, f"reader_{secrets.token_hex(4)}")
    postgres.execute(f"CREATE ROLE {made.name} LOGIN PASSWORD 'hunter2'")
    made.give(
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "CREATE TABLE t (id int, secret text)",
        "CREATE SEQUENCE s",
    )
    made.give("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}")
    yield made
    made.give("DROP OWNED BY {} CASCADE")
    postgres.execute(f"DROP ROLE {made.name}")


class Account:
    def __init__(self, postgres: Server, url: str, name: str) -> None:
        self.postgres, self.url, self.name = postgres, url, name

    def give(self, *statements: str) -> None:
        with connected(self.url) as connection:
            for statement in statements:
                connection.execute(statement.format(self.name))

    def existing(self) -> PostgresqlExisting:
        url = make_url(self.url).set(drivername="postgresql", username=self.name, password="hunter2")
        return PostgresqlExisting(url.render_as_string(hide_password=False))


def test_an_account_that_only_reads_may_not_write(account: Account) -> None:
    assert account.existing().writable() == []
    account.give("GRANT pg_read_all_data TO {}")
    assert account.existing().writable() == []


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        ("GRANT INSERT ON t TO {}", "it may write to t"),
        ("GRANT UPDATE (secret) ON t TO {}", "it may write to t"),
        ("GRANT TRUNCATE ON t TO PUBLIC", "it may write to t"),
        ("GRANT pg_write_all_data TO {}", "it is a member of pg_write_all_data"),
        ("GRANT USAGE ON s TO {}", "it may advance the sequence s"),
        ("GRANT CREATE ON SCHEMA public TO {}", "it owns or may create in the schema public"),
        ("ALTER TABLE t OWNER TO {}", "it owns t"),
        ("ALTER ROLE {} CREATEDB", "it may create databases"),
        ("ALTER ROLE {} CREATEROLE", "it may create roles"),
        ("ALTER ROLE {} SUPERUSER", "it is a superuser"),
    ],
)
def test_each_way_to_write_is_named(account: Account, grant: str, said: str) -> None:
    account.give(grant)
    assert said in account.existing().writable()


def test_a_right_that_set_role_would_give_counts_too(account: Account, postgres: Server) -> None:
    writer = f"writer_{secrets.token_hex(4)}"
    postgres.execute(f"CREATE ROLE {writer}")
    account.give(f"GRANT DELETE ON t TO {writer}", f"GRANT {writer} TO {{}}", "ALTER ROLE {} NOINHERIT")
    try:
        assert account.existing().writable() == ["it may write to t"]
    finally:
        account.give(f"DROP OWNED BY {writer}", f"DROP ROLE {writer}")


def test_a_database_is_the_same_whoever_asks_and_no_other_is(account: Account, postgres: Server) -> None:
    own = PostgresqlExisting(
        make_url(account.url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    assert own.identity() & account.existing().identity()
    with postgres.database() as other:
        url = make_url(other).set(drivername="postgresql").render_as_string(hide_password=False)
        assert not own.identity() & PostgresqlExisting(url).identity()


def test_an_account_without_the_right_to_the_servers_identity_is_still_told_apart(account: Account) -> None:
    own = PostgresqlExisting(
        make_url(account.url).set(drivername="postgresql").render_as_string(hide_password=False)
    )
    account.give("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    found = account.existing().identity()
    assert len(found) == 1
    assert own.identity() & found


def test_a_standby_is_a_source_that_nobody_writes_through_and_the_same_database_as_its_primary() -> None:
    binaries = newest_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    with (
        private_server(binaries, "wal_level=replica", "max_wal_senders=4") as primary,
        primary.database() as url,
    ):
        with connected(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id")
        name = url.rpartition("/")[2].partition("?")[0]
        with standby_of(primary, binaries) as follower:
            of_primary, of_standby = (
                PostgresqlExisting(each.url_of(name, drivername="postgresql")) for each in (primary, follower)
            )
            assert of_primary.identity() & of_standby.identity()
            assert of_primary.writable()
            assert not of_standby.writable()
            assert of_standby.lag() == 0
            assert of_primary.lag() is not None
            copy = PostgresqlDatabase(of_primary.server, "copy", b"secret")
            copy.create("v-1")
            with of_standby.snapshot(30.0) as snapshot, copy.loader("v-1") as loader:
                loader.begin(snapshot)
                assert loader.copy("t", (), lambda block: block.frame) == 1000
                loader.finish()
                with loader.result() as result:
                    assert sum(block.frame["id"].sum() for block in result.blocks("t", ["id"])) == 500500


# waiting


class Clock:
    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


def test_reading_waits_until_replication_has_caught_up() -> None:
    clock, lags = Clock(), iter([40.0, 20.0, 5.0])
    LagWatch(lambda: next(lags), 10.0, clock.sleep, lambda: clock.now).wait()
    assert clock.slept == 2


def test_replication_is_not_asked_for_each_block() -> None:
    clock, asked = Clock(), []
    watch = LagWatch(lambda: float(len(asked.append(1) or ())), 10.0, clock.sleep, lambda: clock.now)
    for _ in range(5):
        watch.wait()
    assert len(asked) == 1
    clock.now += ASKED_EVERY
    watch.wait()
    assert len(asked) == 2


@pytest.mark.parametrize("lag", [99.0, None])
def test_a_lag_that_does_not_end_or_cannot_be_told_any_more_ends_the_sync(lag: float | None) -> None:
    clock = Clock()
    with pytest.raises(Unavailable) as said:
        LagWatch(lambda: lag, 10.0, clock.sleep, lambda: clock.now).wait()
    assert said.value.number == 537
    assert clock.now > PATIENCE
