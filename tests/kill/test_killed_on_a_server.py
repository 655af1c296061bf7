"""SIGKILL around statements of operations whose databases are on a server: old or new is served, no database is left over.

Each operation begins with what the recovery of the one before has left: databases are not put back as files are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kill.children import Children
from tests.kill.served_application import ENGINES, Engine
from tests.kill.test_killed_anywhere import points
from tests.workshop.home import Home
from tests.workshop.litter import litter
from tests.workshop.thorough import KILL_EVERY_STATEMENT, KILL_EVERYWHERE

MASTER, STAGING = "store/master", "store/staging"

pytestmark = pytest.mark.kill


@dataclass(frozen=True)
class Rolling:
    """`ready` makes what the operation begins with, given a number that grows; what is served afterwards is `old` or `new`
    of that number.
    """

    environment: str
    flow: str
    begin: Callable[[Home, Engine], None]
    ready: Callable[[Home, Engine, int], None]
    old: Callable[[int], int]
    new: Callable[[int], int]
    forced: Mapping[str, Any]
    """Parameters with which it must succeed after recovery."""


def pushed(home: Home, engine: Engine, number: int) -> None:
    home.commit(engine.version(number))
    home.push()


def deployed_twice(home: Home, engine: Engine) -> None:
    """From now on each deploy drops a database that nobody goes back to."""
    for number in (1, 2):
        home.run("deploy_environment", environment=MASTER)
        pushed(home, engine, number + 1)


def everywhere(home: Home, _engine: Engine) -> None:
    home.run("deploy_environment", environment=MASTER)
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")
    home.run("sync_data", environment=STAGING)


OPERATIONS = {
    "deploy": Rolling(
        MASTER,
        "deploy_environment",
        deployed_twice,
        pushed,
        lambda number: number - 1,
        lambda number: number,
        {"force": True},
    ),
    "sync": Rolling(
        STAGING, "sync_data", everywhere, lambda _home, _engine, _number: None, lambda _: 1, lambda _: 1, {}
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_around_any_statement_it_is_old_or_new_and_no_database_is_left_over(
    engine: str, name: str, flows: Children, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server, operation = ENGINES[engine](request), OPERATIONS[name]
    parameters = {"environment": operation.environment}
    with server.home(tmp_path / "branchline") as home:
        operation.begin(home, server)
        code, events = flows.run(home, operation.flow, parameters, None)
        assert code == 0, events
        problems = []
        for number, at in enumerate(stated(events), 4):
            operation.ready(home, server, number)
            code, _ = flows.run(home, operation.flow, parameters, at)
            found = ["it was not killed"] if code != -9 else after_recovery(home, server, operation, number)
            problems += [f"before {at}, {events[at]}: {each}" for each in found]
        assert problems == []


def stated(events: list[str]) -> list[int]:
    """Before each statement that changes something on the server, and on both sides of the commit; wherever `points` says, too.
    Or a part of these.
    """
    statements = [at for at, event in enumerate(events) if event.startswith("sql ")]
    assert statements, events
    around = [
        at + side for at, event in enumerate(events) if "Deployments.commit" in event for side in (0, 1)
    ]
    return sorted(
        {*statements[::KILL_EVERY_STATEMENT], *around, *(points(events) if KILL_EVERYWHERE else ())}
    )


def after_recovery(home: Home, server: Engine, operation: Rolling, number: int) -> list[str]:
    """What is wrong after it, and after the same once more."""
    with home.opened() as platform:
        platform.operations.recover()
        found = litter(platform, home)
        now = server.served(platform, operation.environment)
        if now not in {(str(each(number)), each(number)) for each in (operation.old, operation.new)}:
            found.append(f"it serves {now}")
    again = home.run(operation.flow, environment=operation.environment, **operation.forced)
    with home.opened() as platform:
        found += [f"after once more: {each}" for each in litter(platform, home)]
    return [*found, *again.warnings]
