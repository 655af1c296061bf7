"""An application whose databases are on a PostgreSQL server, through a day's operations: the library of examples/."""

import base64
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from branchline.domain.environment import Environment
from branchline.errors import BadInput, BranchlineError, Refused
from branchline.platform import Platform
from branchline.steps.data import remove_version
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter
from tests.workshop.postgres import Server, connected
from tests.workshop.waiting import until

LIBRARY = Path(__file__).parents[2] / "examples/library"
PACKAGES = Path(psycopg.__file__).parents[1]
NAME = "db:postgresql"
SLOT = f"database:{NAME}"
PIP = re.compile(r"python3 -m pip .*")
STAGING, PRODUCTION = "store/staging", "store/production"
SHELF = {
    "migrations/0002_shelf.sql": "ALTER TABLE members ADD COLUMN shelf text;\n",
}


def library(**changes: str) -> dict[str, str]:
    """Its files; the driver is copied from where these tests have it, not downloaded. `migrations` and `deploy` change
    app.yaml."""
    files = {
        str(path.relative_to(LIBRARY)): path.read_text()
        for path in LIBRARY.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    driver = " ".join(
        str(PACKAGES / name)
        for name in ("psycopg", "psycopg_binary", "psycopg_binary.libs", "typing_extensions.py")
        if (PACKAGES / name).exists()
    )
    app = PIP.sub(f"mkdir vendor && cp -r {driver} vendor/", files[".branchline/app.yaml"])
    app = app.replace("migrations: exclusive", f"migrations: {changes.pop('migrations', 'exclusive')}")
    app = app.replace("python3 migrate.py", changes.pop("deploy", "python3 migrate.py"))
    return {**files, ".branchline/app.yaml": app, **changes}


def with_shelf() -> dict[str, str]:
    files = library(**SHELF)
    policy = files[".branchline/sanitize.yaml"]
    decided = '      shelf: {mask: keep, reason: "one of few shelves"}\n      notes: text\n'
    return {**files, ".branchline/sanitize.yaml": policy.replace("      notes: text\n", decided)}


def tiny(version: int = 1) -> dict[str, str]:
    """An application that has a database on PostgreSQL and does nothing with it."""
    files = dict(application(version, deploy="true", check=""))
    files[".branchline/app.yaml"] = files[".branchline/app.yaml"].replace("db:sqlite", "db:postgresql")
    return {**files, ".branchline/services.yaml": "db: {type: 'postgresql:15'}\n"}


def settings(home: Home, postgres: Server, **more: Any) -> Mapping[str, Any]:
    place = home.path / "server-url"
    place.write_text(postgres.url_of("postgres", drivername="postgresql"))
    socket = [postgres.url.query["host"]] if "host" in postgres.url.query else []
    server = {"engine": "postgresql", "url": {"file": str(place)}, "tiers": "all"}
    return {
        "database_servers": {"main": server},
        "system_directories": [str(PACKAGES), *socket],
        **more,
    }


@pytest.fixture
def on_server(tmp_path: Path, postgres: Server) -> Iterator[Home]:
    """A home whose environments have their databases on the server; nothing is committed yet."""
    made = Home(tmp_path / "branchline").make()
    made.configure(settings(made, postgres))
    yield made
    made.configure(settings(made, postgres))
    with made.opened() as platform:
        for environment in environments(platform):
            database = platform.database(environment, NAME)
            for version in [*database.names(), "v-none"]:
                database.remove(version)
    made.remove()


@pytest.fixture
def everywhere(on_server: Home) -> Home:
    """The library runs on all three tiers, with members in Production."""
    on_server.commit(library())
    on_server.init()
    promote_up(on_server)
    seed(on_server, PRODUCTION)
    return on_server


def promote_up(home: Home) -> None:
    home.run("deploy_environment", environment="store/master")
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")


def environments(platform: Platform) -> list[Environment]:
    every = platform.store.environments
    return [each for project in every.projects() for each in every.of(project)]


def told(platform: Platform, path: str) -> Mapping[str, Any]:
    environment = environment_at(platform, path)
    version = platform.current(environment).data[SLOT]
    return platform.database(environment, NAME).relationship(version)


def dsn(platform: Platform, path: str) -> str:
    """As the application connects."""
    parts = told(platform, path)
    return make_conninfo(
        host=parts["host"], port=parts["port"], dbname=parts["path"], user=parts["username"], password=parts["password"]
    )  # fmt: skip


def rows(home: Home, path: str, query: str) -> list[tuple[Any, ...]]:
    with home.opened() as platform, psycopg.connect(dsn(platform, path)) as connection:
        return connection.execute(query).fetchall()


def seed(home: Home, path: str) -> None:
    with home.opened() as platform:
        where = dsn(platform, path)
    with psycopg.connect(where) as connection:
        connection.execute(
            "INSERT INTO books (isbn, title, authors) SELECT 'i' || n, 'Title ' || n, ARRAY['Ada'] FROM generate_series(1, 50) n"
        )
        connection.execute(
            "INSERT INTO members (card, email, name, address, notes) SELECT encode(sha256(n::text::bytea), 'hex')::char(40),"
            " 'person' || n || '@post.example', 'Original Person' || n, '{\"street\": \"1 Mill Lane\"}', 'ask Original' FROM"
            " generate_series(1, 50) n"
        )
        connection.execute(
            "INSERT INTO loans (member, book, during) SELECT n, n, daterange('2026-01-01', '2026-02-01') FROM"
            " generate_series(1, 50) n"
        )
        connection.execute(
            "INSERT INTO reminders (loan, email, body, due) SELECT id, 'person1@post.example', 'Dear', now() FROM loans"
        )


def test_a_day_of_deploys_promotions_a_sync_and_rollbacks_leaves_nothing_behind(everywhere: Home) -> None:
    home = everywhere
    assert home.run("sync_data", environment=STAGING).outcome == "success"
    members = rows(home, STAGING, "SELECT email, name FROM members")
    assert len(members) == 50
    assert all(email.endswith("@example.test") and "Original" not in name for email, name in members)
    assert rows(home, STAGING, "SELECT count(*) FROM reminders") == [(0,)]
    assert rows(home, STAGING, "SELECT value FROM settings WHERE name = 'mail_gateway'") == [("off",)]
    assert rows(home, STAGING, "SELECT * FROM loans ORDER BY id") == rows(
        home, PRODUCTION, "SELECT * FROM loans ORDER BY id"
    )
    home.commit(with_shelf())
    home.push()
    with home.opened() as platform, psycopg.connect(dsn(platform, PRODUCTION)) as session:
        session.execute("SELECT count(*) FROM members")  # a session in the way of a clone by template
        promote_up(home)
    assert rows(home, PRODUCTION, "SELECT count(shelf), count(*) FROM members") == [(0, 50)]
    with pytest.raises(Refused, match="does not know the schema of database:db:postgresql"):
        home.run("roll_back_environment", environment=PRODUCTION)
    home.run("roll_back_environment", environment=PRODUCTION, discard_writes=True)
    assert rows(home, PRODUCTION, "SELECT max(version) FROM schema_version") == [(1,)]
    home.run("deactivate_environment", environment="store/master")
    with home.opened() as platform:
        assert litter(platform, home) == []


def test_an_application_cannot_reach_another_environments_database(everywhere: Home) -> None:
    with everywhere.opened() as platform:
        own, other = told(platform, STAGING), told(platform, PRODUCTION)
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(
                host=own["host"], port=own["port"], dbname=other["path"], user=own["username"], password=own["password"]
            )  # fmt: skip


def test_a_password_is_in_no_log_activity_or_error(on_server: Home) -> None:
    on_server.commit(
        library(deploy="python3 migrate.py; env; echo $BRANCHLINE_RELATIONSHIPS | base64 -d; echo done")
    )
    on_server.init()
    on_server.run("deploy_environment", environment="store/master")
    with on_server.opened() as platform:
        password = str(told(platform, "store/master")["password"])
        server = (on_server.path / "server-url").read_text()
    (log,) = (on_server.path / "home/logs").iterdir()
    assert "done" in log.read_text()
    own_files = {"relationships.json", "environment"}
    encoded = [base64.b64encode(f"{' ' * at}{password}".encode())[4:40] for at in range(3)]
    for path in on_server.path.rglob("*"):
        if path.is_file() and path.name not in own_files:
            content = path.read_bytes()
            assert not [each for each in (password.encode(), *encoded) if each in content], path
            assert path.name == "server-url" or server.encode() not in content


@contextmanager
def syncing(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """A sync of Staging that has made its version and waits for a table of Production."""
    with home.opened() as platform, psycopg.connect(dsn(platform, PRODUCTION)) as holder:
        holder.execute("LOCK TABLE loans IN ACCESS EXCLUSIVE MODE")
        database = platform.database(environment_at(platform, STAGING), NAME)
        process = home.start("sync", STAGING)
        until(lambda: len(database.names()) == 2 or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        yield process


@pytest.mark.kill
@pytest.mark.parametrize(
    ("number", "code", "state", "recovered"),
    [(signal.SIGKILL, -9, "complete", 1), (signal.SIGTERM, 128 + 15, "cancelled", 0)],
    ids=["SIGKILL", "SIGTERM"],
)
def test_what_a_sync_that_is_ended_has_made_is_removed_and_staging_stays(
    everywhere: Home, number: signal.Signals, code: int, state: str, recovered: int
) -> None:
    home = everywhere
    with home.opened() as platform:
        before = told(platform, STAGING)["path"]
    with syncing(home) as process:
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == code
    with home.opened() as platform:
        assert len(platform.operations.recover()) == recovered
        (ended,) = platform.store.activities.recent(limit=1)
        assert (ended.state, ended.result) == (state, "failure")
        assert told(platform, STAGING)["path"] == before
        assert litter(platform, home) == []


def test_a_database_whose_making_outlived_its_process_is_removed_too(
    on_server: Home, postgres: Server
) -> None:
    on_server.commit(tiny())
    on_server.init()
    with (
        on_server.opened() as platform,
        connected(postgres.url.render_as_string(hide_password=False)) as holder,
    ):
        database = platform.database(environment_at(platform, "store/master"), NAME)
        database.create("v-first")
        path = str(database.relationship("v-second")["path"])
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE pg_database IN EXCLUSIVE MODE")
        child = os.fork()
        if child == 0:
            try:
                database.create("v-second")
            finally:
                os._exit(0)
        making = f'CREATE DATABASE "{path}" %'
        with connected(postgres.url.render_as_string(hide_password=False)) as watcher:
            sought = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND wait_event_type = 'Lock'"
            until(lambda: watcher.execute(sought, (making,)).fetchone() == (1,))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        database.remove("v-second")
        holder.execute("ROLLBACK")
        assert database.names() == ["v-first"]


def test_a_tier_without_a_server_is_refused_with_the_key_to_add_and_nothing_is_made(
    on_server: Home, postgres: Server
) -> None:
    server = dict(settings(on_server, postgres)["database_servers"]["main"])
    on_server.configure(
        settings(on_server, postgres, database_servers={"main": {**server, "tiers": ["production"]}})
    )
    on_server.commit(tiny())
    on_server.init()
    with pytest.raises(Refused, match=r"database_servers: \{NAME: \{engine: postgresql") as refused:
        on_server.run("deploy_environment", environment="store/master")
    assert "integration" in refused.value.message
    with on_server.opened() as platform:
        assert platform.store.deployments.versions() == []


def test_a_server_of_another_version_is_refused(on_server: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from branchline.adapters.databases.postgresql_existing import PostgresqlExisting  # noqa: PLC0415

    monkeypatch.setattr(PostgresqlExisting, "version", lambda _self: "99")
    on_server.commit(tiny())
    on_server.init()
    with pytest.raises(Refused, match=r"asks for postgresql 15 for db, and the server .* is postgresql 99"):
        on_server.run("deploy_environment", environment="store/master")


def test_a_url_that_cannot_be_read_is_told_by_its_key(on_server: Home) -> None:
    (on_server.path / "server-url").unlink()
    on_server.commit(tiny())
    on_server.init()
    with pytest.raises(BadInput, match=r"database_servers\.main\.url") as said:
        on_server.run("deploy_environment", environment="store/master")
    assert said.value.number == 528


def test_a_service_that_changes_its_engine_begins_anew_and_its_old_data_can_be_gone_back_to(
    on_server: Home,
) -> None:
    on_server.commit(application(1, deploy="true", check=""))
    on_server.init()
    on_server.run("deploy_environment", environment="store/master")
    on_server.commit(tiny(2))
    on_server.push()
    on_server.run("deploy_environment", environment="store/master")
    with on_server.opened() as platform:
        assert {"database:db", SLOT} <= set(platform.current(environment_at(platform, "store/master")).data)
    with pytest.raises(Refused, match="does not know the schema"):
        on_server.run("roll_back_environment", environment="store/master")
    on_server.run("roll_back_environment", environment="store/master", discard_writes=True)


# an adopted Production


@pytest.fixture
def adopted(tmp_path: Path, postgres: Server) -> Iterator["Adopted"]:
    with postgres.database() as url:
        made = Adopted(Home(tmp_path / "branchline").make(), postgres, url)
        made.prepare()
        yield made
        made.end()


class Adopted:
    """A database that was there before, with an account of its application and one that only reads."""

    def __init__(self, home: Home, postgres: Server, url: str) -> None:
        self.home, self.postgres = home, postgres
        self.name = url.rpartition("/")[2].partition("?")[0]
        self.app, self.reader = f"app_{self.name}", f"reader_{self.name}"

    def prepare(self) -> None:
        for role in (self.app, self.reader):
            self.postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'hunter2-{role}'")
        self.postgres.execute(f"ALTER DATABASE {self.name} OWNER TO {self.app}")
        self.postgres.execute(f"GRANT pg_read_all_data TO {self.reader}")
        self.configure()
        self.home.commit(library(migrations="compatible"))
        self.home.init()

    def url(self, role: str) -> str:
        return self.postgres.url_of(
            self.name, drivername="postgresql", username=role, password=f"hunter2-{role}"
        )

    def configure(self, **more: Any) -> None:
        for role in (self.app, self.reader):
            (self.home.path / role).write_text(self.url(role))
        line = {
            "engine": "postgresql",
            "url": {"file": str(self.home.path / self.app)},
            "source_url": {"file": str(self.home.path / self.reader)},
            **more,
        }
        kept = {key: value for key, value in line.items() if value is not None}
        self.home.configure(settings(self.home, self.postgres, adopted_databases={f"{PRODUCTION}/db": kept}))

    def end(self) -> None:
        self.home.configure(settings(self.home, self.postgres))
        with self.home.opened() as platform:
            for environment in environments(platform):
                database = platform.database(environment, NAME)
                for version in [*database.names(), "v-none"]:
                    database.remove(version)
        self.home.remove()
        with connected(self.postgres.url_of(self.name)) as connection:
            connection.execute(f"DROP OWNED BY {self.app}, {self.reader} CASCADE")
        self.postgres.execute(f"ALTER DATABASE {self.name} OWNER TO CURRENT_USER")
        self.postgres.execute(f"DROP ROLE {self.app}, {self.reader}")


def test_an_adopted_production_is_deployed_against_read_from_and_never_removed(adopted: Adopted) -> None:
    home = adopted.home
    promote_up(home)
    seed(home, PRODUCTION)
    with home.opened() as platform:
        assert told(platform, PRODUCTION)["path"] == adopted.name
    assert home.run("sync_data", environment=STAGING).outcome == "success"
    assert {email.partition("@")[2] for (email,) in rows(home, STAGING, "SELECT email FROM members")} == {
        "example.test"
    }
    home.commit(
        with_shelf() | {".branchline/app.yaml": library(migrations="compatible")[".branchline/app.yaml"]}
    )
    home.push()
    promote_up(home)
    assert rows(home, PRODUCTION, "SELECT count(shelf), count(*) FROM members") == [(0, 50)]
    with home.opened() as platform:
        assert litter(platform, home) == []
        environment = environment_at(platform, PRODUCTION)
        version = platform.current(environment).data[SLOT]
        remove_version(platform, platform.store.deployments.version(version))
        platform.database(environment, NAME).remove(version)
    with psycopg.connect(adopted.url(adopted.app)) as connection:
        assert connection.execute("SELECT count(*) FROM members").fetchone() == (50,)


def test_an_exclusive_migration_of_an_adopted_database_is_refused_before_anything_is_made(
    adopted: Adopted,
) -> None:
    adopted.home.commit(library())
    adopted.home.push()
    adopted.home.run("deploy_environment", environment="store/master")
    adopted.home.run("promote_to_staging", project="store")
    with pytest.raises(Refused, match=r"migrations: exclusive works on a clone, and .* is adopted"):
        adopted.home.run("promote_to_production", project="store")
    with psycopg.connect(adopted.url(adopted.app)) as connection:
        assert connection.execute("SELECT to_regclass('members')").fetchone() == (None,)


def test_a_sync_with_an_account_that_could_write_is_refused_unless_that_is_accepted(adopted: Adopted) -> None:
    promote_up(adopted.home)
    adopted.configure(source_url=None)
    with pytest.raises(Refused, match="the account that a sync reads with could write: it owns the database"):
        adopted.home.run("sync_data", environment=STAGING)
    adopted.configure(source_url=None, allow_writable_source=True)
    assert adopted.home.run("sync_data", environment=STAGING).outcome == "success"


def test_a_sync_onto_its_own_source_is_refused_whatever_address_leads_there(adopted: Adopted) -> None:
    promote_up(adopted.home)
    with adopted.home.opened() as platform:
        staging = told(platform, STAGING)
    (adopted.home.path / adopted.reader).write_text(
        adopted.postgres.url_of(staging["path"], drivername="postgresql")
    )
    with pytest.raises(Refused, match="nothing is ever copied onto its own source"):
        adopted.home.run("sync_data", environment=STAGING)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source_url": {"file": "/nowhere/url"}}, "cannot be read from"),
        ({"engine": "sqlite"}, "must be one of mysql, postgresql"),
    ],
)
def test_an_adoption_that_makes_no_sense_is_told_by_its_key(
    adopted: Adopted, change: dict[str, Any], said: str
) -> None:
    adopted.configure(**change)
    with pytest.raises(BranchlineError, match=said) as refused:
        promote_up(adopted.home)
    assert f"adopted_databases.{PRODUCTION}/db" in refused.value.message
