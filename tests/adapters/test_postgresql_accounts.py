"""The accounts that a PostgreSQL database has, made by an account that is no superuser."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from branchline.adapters.databases.postgresql import PostgresqlDatabase
from branchline.adapters.databases.postgresql_connection import PostgresqlServer
from tests.workshop.postgres import Server, connected


@pytest.fixture
def database(postgres: Server) -> Iterator[PostgresqlDatabase]:
    maker = f"maker_{secrets.token_hex(4)}"
    postgres.execute(f"CREATE ROLE {maker} LOGIN CREATEDB CREATEROLE PASSWORD 'hunter2'")
    url = postgres.url_of("postgres", drivername="postgresql", username=maker, password="hunter2")
    made = PostgresqlDatabase(PostgresqlServer.from_url(url)[0], f"t{secrets.token_hex(4)}", b"secret")
    yield made
    for name in made.names():
        made.remove(name)
    postgres.execute(f"DROP ROLE {maker}")


def opened(database: PostgresqlDatabase, name: str) -> "psycopg.Connection[tuple[object, ...]]":
    told = database.relationship(name)
    return psycopg.connect(
        host=str(told["host"]), port=str(told["port"]), dbname=str(told["path"]), autocommit=True,
        user=str(told["username"]), password=str(told["password"]),
    )  # fmt: skip


def test_versions_are_made_cloned_filled_and_removed_without_a_superuser(
    database: PostgresqlDatabase,
) -> None:
    database.create("v-1")
    with opened(database, "v-1") as connection:
        connection.execute("CREATE TABLE t AS SELECT generate_series(1, 10) AS id")
        database.clone("v-1", "v-2")
    database.create("v-3")
    with database.snapshot("v-1") as snapshot, database.loader("v-3") as loader:
        loader.begin(snapshot)
        assert loader.copy("t", (), lambda block: block.frame) == 10
        loader.finish()
    assert database.names() == ["v-1", "v-2", "v-3"]


def test_rows_that_are_hidden_from_an_account_that_no_superuser_made_are_refused_by_name(
    database: PostgresqlDatabase,
) -> None:
    database.create("v-1")
    with opened(database, "v-1") as connection:
        connection.execute("CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    with database.snapshot("v-1") as snapshot:
        assert "row-level security hides rows" in snapshot.schema().tables["t"].unsupported


def test_accounts_go_with_the_last_version(database: PostgresqlDatabase, postgres: Server) -> None:
    database.create("v-1")
    database.create("v-2")
    for left, name in ((2, "v-1"), (0, "v-2")):
        database.remove(name)
        with connected(postgres.url_of("postgres")) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_roles WHERE rolname IN (%s, %s)", (database.owner, database.reader)
            )
            assert found.fetchone() == (left,)


def test_the_server_never_gets_a_password_in_plain_text(
    database: PostgresqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    execute = psycopg.Connection.execute

    def heard(self: object, query: object, *rest: object, **more: object) -> object:
        said.append(f"{query} {rest}")
        return execute(self, query, *rest, **more)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(psycopg.Connection, "execute", heard)
    database.create("v-1")
    assert any("SCRAM-SHA-256$" in each for each in said)
    assert not any(
        database.password(account) in each for account in (database.owner, database.reader) for each in said
    )
