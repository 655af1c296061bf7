"""Fixtures over the workshop, for every test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.workshop.application import application
from tests.workshop.home import Home

LONGEST = ("server", "secrets")
"""Folders whose tests share one server or one day: each is one worker's, and begun first."""
APART = ("kill",)
"""Folders whose tests are long and share little."""


class ByFile(LoadScopeScheduling):
    """The tests of a file on one worker, so that what a module sets up is set up once. (pytest-xdist 3.8's own groups go unnoticed with
    pytest 9.2, whose tests' names a plugin cannot change.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.split("/")[1]
        return folder if folder in LONGEST else nodeid if folder in APART else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONGEST)


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
