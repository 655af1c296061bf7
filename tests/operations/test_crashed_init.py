"""An `init` that was cut short at any of its effects can be done again."""

import os
import signal
import sys
from typing import Any

import pytest

from branchline.errors import BadInput
from branchline.steps.projects import init_project
from tests.workshop.home import Home
from tests.workshop.litter import litter

EFFECTS = {"os.mkdir", "os.rename", "sqlite3.connect", "subprocess.Popen", "open"}


def killed_at(home: Home, number: int, source: str | None) -> bool:
    """Whether an `init` in a child was killed before its effect of this number."""
    child = os.fork()
    if child == 0:
        count = 0

        def audited(event: str, _arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if event in EFFECTS:
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        with home.opened() as platform:
            sys.addaudithook(audited)
            init_project(platform, "second", "pro", source)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_an_init_that_was_cut_short_anywhere_can_be_done_again(home: Home) -> None:
    number, step = 1, 7
    while killed_at(home, number, str(home.path / "checkout")):
        with home.opened() as platform:
            known = [project.name for project in platform.store.environments.projects()]
            left = platform.layout.repository("second").exists()
            if "second" not in known and left:
                with pytest.raises(BadInput, match="that no project has") as said:
                    init_project(platform, "second", "pro", str(home.path / "checkout"))
                assert said.value.number == 346
            if "second" not in known:
                made = init_project(platform, "second", "pro", None if left else str(home.path / "checkout"))
                assert list(made.branches) == ["master"]
            names = [
                each.name
                for each in platform.store.environments.of(platform.store.environments.project("second"))
            ]
            assert names == ["master", "staging", "production"]
            assert litter(platform, home) == []
        forget(home)
        number += step
    assert number > step


def forget(home: Home) -> None:
    """The second project, as if it had never been."""
    import sqlite3  # noqa: PLC0415 - a test's own way past the store
    from contextlib import closing  # noqa: PLC0415

    Home(home.path / "home/repositories/second.git").remove()
    with closing(sqlite3.connect(home.path / "home/state/branchline.db")) as state:
        state.execute(
            "DELETE FROM environments WHERE project_id IN (SELECT id FROM projects WHERE name = 'second')"
        )
        state.execute("DELETE FROM projects WHERE name = 'second'")
        state.commit()
