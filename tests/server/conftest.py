from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tests.server.upped import Keeper, Upped
from tests.workshop.application import application
from tests.workshop.home import Home


@pytest.fixture(scope="module")
def prefect_here() -> Iterator[None]:
    """A Prefect API for flows that are called in this process; its settings end with the module, for they hold for the process."""
    # each flow run would wait up to a second for its heartbeat's end
    without_heartbeat = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        patch.setenv("DO_NOT_TRACK", "1")
        with prefect_test_harness(server_startup_timeout=90), temporary_settings(without_heartbeat):
            yield


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """A home with one project, `store`, and at most one `branchline up` of it."""
    home = Home(tmp_path_factory.mktemp("kept") / "branchline").make()
    home.commit(application(1))
    home.init()
    with ExitStack() as running:
        yield Keeper(home, running)
    home.remove()


@pytest.fixture
def up(keeper: Keeper) -> Upped:
    """It, running: started by the first test that wants it, and again after one that stopped it."""
    return keeper.running()
