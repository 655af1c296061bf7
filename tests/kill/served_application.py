"""The tiny application with its database on a server: the deploy hook of each version writes the version's number into it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import yaml

from branchline.platform import Platform
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import version_served

MIGRATE = """\
import base64, json, os
told = json.loads(base64.b64decode(os.environ["BRANCHLINE_RELATIONSHIPS"]))["database"][0]
host, port, user, password, name = (str(told[each]) for each in ("host", "port", "username", "password", "path"))
if told["scheme"] == "pgsql":
    account = {"PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": name}
    command = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", "migrate.sql"]
else:
    account = {"MYSQL_PWD": password}
    command = ["mariadb", "--no-defaults", "-h", host, "-P", port, "-u", user, name, "-e", "source migrate.sql"]
os.execvpe(command[0], command, {**os.environ, **account})
"""
SQL = """\
CREATE TABLE IF NOT EXISTS people (id integer PRIMARY KEY, email varchar(100));
DELETE FROM people;
INSERT INTO people VALUES (1, 'ann@harbour.test'), (2, 'bob@harbour.test');
CREATE TABLE IF NOT EXISTS migrated (version integer PRIMARY KEY);
DELETE FROM migrated WHERE version = {version};
INSERT INTO migrated VALUES ({version});
"""
SANITIZE = """\
tables: {people: {columns: {id: keep, email: email}}, migrated: {columns: {version: keep}}}
files: {media: {"**": copy}}
"""


@dataclass(frozen=True)
class Engine:
    """A server that Branchline's home has its databases on. `directories`: of its socket, which an application must see;
    `read`: all rows of a query to one of its databases; `maintenance`: the one that is always there, and `accounts` its query
    for those that are an environment's.
    """

    name: str
    service: str
    url: str
    directories: tuple[str, ...]
    read: Callable[[str, str], list[tuple[Any, ...]]]
    maintenance: str
    accounts: str

    @contextmanager
    def home(self, path: Path) -> Iterator[Home]:
        """With version 1 committed. Its databases are gone afterwards."""
        home = Home(path).make()
        (path / "server-url").write_text(self.url)
        server = {"engine": self.name, "url": {"file": str(path / "server-url")}}
        home.configure({"database_servers": {"one": server}, "system_directories": list(self.directories)})
        home.commit(self.version(1))
        home.init()
        yield home
        with home.opened() as platform:
            environments = [
                each
                for project in platform.store.environments.projects()
                for each in platform.store.environments.of(project)
            ]
            for environment in environments:
                database = platform.database(environment, f"db:{self.name}")
                owner = database.relationship("v-none")["username"]
                for version in database.names():
                    database.remove(version)
                assert self.read(self.accounts.format(owner), self.maintenance) == []
        home.remove()

    def version(self, number: int) -> Mapping[str, str]:
        files = dict(application(number, deploy="python3 -SI migrate.py", check=""))
        app = yaml.safe_load(files[".branchline/app.yaml"])
        app["relationships"] = {"database": f"db:{self.name}"}
        return {
            **files,
            "migrate.py": MIGRATE,
            "migrate.sql": SQL.format(version=number),
            ".branchline/app.yaml": yaml.safe_dump(app),
            ".branchline/services.yaml": f"db: {{type: '{self.service}'}}\n",
            ".branchline/sanitize.yaml": SANITIZE,
        }

    def served(self, platform: Platform, path: str) -> tuple[str | None, int | None]:
        """The version of the code, and the last that has migrated the database."""
        environment = environment_at(platform, path)
        if environment.deployment_id is None:
            return None, None
        slot = f"database:db:{self.name}"
        database = platform.database(environment, f"db:{self.name}")
        name = str(database.relationship(platform.current(environment).data[slot])["path"])
        return version_served(platform, path), self.read("SELECT max(version) FROM migrated", name)[0][0]


def _postgresql(request: pytest.FixtureRequest) -> Engine:
    server = request.getfixturevalue("postgres")

    def read(query: str, database: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(server.url_of(database, drivername="postgresql")) as connection:
            return connection.execute(query).fetchall()

    socket = [server.url.query["host"]] if "host" in server.url.query else []
    url = server.url_of("postgres", drivername="postgresql")
    accounts = "SELECT rolname FROM pg_roles WHERE rolname LIKE '{}%'"
    return Engine("postgresql", "postgresql:15", url, tuple(socket), read, "postgres", accounts)


def _mariadb(request: pytest.FixtureRequest) -> Engine:
    server = request.getfixturevalue("mariadb")
    admin = server.admin
    accounts = "SELECT user FROM mysql.user WHERE user LIKE '{}%'"
    socket = f"?socket={admin.socket}" if admin.socket else ""
    url = f"mysql://{admin.user}:{quote(admin.password, safe='')}@{admin.host}:{admin.port}/{socket}"
    return Engine("mysql", "mariadb:10.11", url, (), server.read, "mysql", accounts)


ENGINES = {"postgresql": _postgresql, "mariadb": _mariadb}
"""How each is had in a test, given its request."""
