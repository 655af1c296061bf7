"""An application whose databases are on a MariaDB or MySQL server, and one of theirs that was there before."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from branchline.adapters.databases.mysql_existing import MysqlExisting
from branchline.errors import BadInput
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter
from tests.workshop.mysql import Server

NAME = "db:mysql"


def url(server: Server, database: str = "", user: str = "", password: str = "") -> str:
    admin = server.admin
    account = f"{user}:{password}" if user else f"{admin.user}:{quote(admin.password, safe='')}"
    socket = f"?socket={admin.socket}" if admin.socket else ""
    return f"mysql://{account}@{admin.host}:{admin.port}/{database}{socket}"


@pytest.fixture
def on_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """The parameter is the name of the server's fixture."""
    made = Home(tmp_path / "branchline").make()
    (made.path / "server-url").write_text(url(request.getfixturevalue(request.param)))
    server = {"engine": "mysql", "url": {"file": str(made.path / "server-url")}}
    made.configure({"database_servers": {"one": server}})
    yield made
    with made.opened() as platform:
        database = platform.database(environment_at(platform, "store/master"), NAME)
        for version in database.names():
            database.remove(version)
    made.remove()


@pytest.mark.parametrize(
    ("on_server", "service"),
    [("mariadb", "mysql:10.11"), ("mariadb", "mariadb:10.11"), ("oracle_mysql", "mysql:9.7")],
    indirect=["on_server"],
)
def test_deployed_with_a_clone_for_each_migration_as_magento_names_the_service(
    on_server: Home, service: str
) -> None:
    for number in (1, 2):
        files = dict(application(number, deploy="true", check=""))
        files[".branchline/app.yaml"] = files[".branchline/app.yaml"].replace("db:sqlite", "db:mysql")
        on_server.commit({**files, ".branchline/services.yaml": f"db: {{type: '{service}'}}\n"})
        on_server.init() if number == 1 else on_server.push()
        on_server.run("deploy_environment", environment="store/master")
    with on_server.opened() as platform:
        environment = environment_at(platform, "store/master")
        assert len(platform.database(environment, NAME).names()) == 2
        assert litter(platform, on_server) == []


def test_an_existing_database_says_who_may_write_to_it_and_which_it_is(server: Server) -> None:
    with server.database() as name, server.database() as other:
        server.execute(
            f"CREATE USER reading@`%` IDENTIFIED BY 'hunter2';\nGRANT SELECT ON `{name}`.* TO reading@`%`;"
        )
        try:
            reader = MysqlExisting(url(server, name, "reading", "hunter2"))
            admin = MysqlExisting(url(server, name))
            assert reader.version() == admin.version()
            assert reader.writable() == []
            assert admin.writable()
            assert reader.identity() == admin.identity() != MysqlExisting(url(server, other)).identity()
            assert reader.lag() is None
            server.execute(f"GRANT UPDATE ON `{name}`.* TO reading@`%`;")
            assert "UPDATE" in reader.writable()[0]
        finally:
            server.execute("DROP USER reading@`%`;")


def test_a_url_without_a_database_is_told(server: Server) -> None:
    with pytest.raises(BadInput, match="which database"):
        MysqlExisting(url(server)).size()
