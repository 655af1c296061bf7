"""Fixtures over the workshop, for every test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.workshop.application import application
from tests.workshop.home import Home


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
