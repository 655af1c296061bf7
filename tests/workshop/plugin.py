"""Fixtures over the workshop, for every test."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Dialect, Engine, event
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.workshop.application import application
from tests.workshop.home import Home

TOGETHER = {
    "server": re.compile("/server/"),
    "secrets": re.compile("/secrets/"),
    "mysql": re.compile("mysql|magento2|chinook_on|contracts/test_(databases|subsets)|killed_on_a_server"),
}
"""Files whose tests share one server, or one day, or servers that are dear to start: each group is one worker's, and begun first."""
APART = "/kill/"
"""Folders whose tests are long and share little."""


class ByFile(LoadScopeScheduling):
    """The tests of a file on one worker, so that what a module sets up is set up once. (pytest-xdist 3.8's own groups go unnoticed with
    pytest 9.2, whose tests' names a plugin cannot change.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _group(file) or (nodeid if APART in file else file)


def _group(file: str) -> str | None:
    return next((name for name, files in TOGETHER.items() if files.search(file)), None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _group(item.nodeid.partition("::")[0]) is None)


_DIALECTS: dict[str, Dialect] = {}
_COMPILED: dict[object, object] = {}


@event.listens_for(Engine, "engine_connect")
def compile_each_statement_once(connection: Connection) -> None:
    """Each home has an engine of its own, which would compile all statements anew."""
    if connection.dialect.name == "sqlite":
        connection.dialect = _DIALECTS.setdefault(connection.dialect.driver, connection.dialect)
        connection.execution_options(compiled_cache=_COMPILED)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A project `store` whose master has version 1 of the tiny application; nothing is deployed."""
    made = Home(tmp_path / "branchline").make()
    made.commit(application(1))
    made.init()
    yield made
    made.remove()


@pytest.fixture
def seen() -> Callable[[BaseException], str]:
    """All text of an error, of what it is chained to, and of its arguments."""

    def text(error: BaseException | None) -> str:
        return "" if error is None else f"{error!r} {error} {text(error.__context__)} {text(error.__cause__)}"

    return text
