"""`branchline up` as it runs for good: Prefect's database and the state both on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.server.upped import upped
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.postgres import Server, connected
from tests.workshop.pushing import push

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@pytest.fixture
def home(tmp_path: Path, postgres_url: str) -> Iterator[Home]:
    """Its state's URL lies in a file: whoever pushes does not know it."""
    file = tmp_path / "state-url"
    file.touch(0o600)
    file.write_text(postgres_url)
    made = Home(tmp_path / "branchline").make({"state_url": {"file": str(file)}})
    made.commit(application(1))
    made.init()
    yield made
    made.remove()


def test_a_push_is_deployed_and_both_databases_know_of_it(
    home: Home, postgres: Server, postgres_url: str
) -> None:
    with postgres.database() as url:
        prefects = make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
        with upped(home, PREFECT_SERVER_DATABASE_CONNECTION_URL=prefects) as up:
            done = push(home, "HEAD:feature")
            assert "Branchline: store/feature runs" in done.said, done.said
            with home.opened() as platform:
                (row,) = [each for each in platform.store.pushes.recent(limit=9) if each.branch == "feature"]
                activity = platform.store.activities.get(row.activity_id or "")
            with connected(url) as prefect:
                told = prefect.execute("SELECT id::text, state_name FROM flow_run WHERE name LIKE 'push of%'")
                assert told.fetchall() == [(activity.flow_run_id, "Completed")]
            with connected(postgres_url) as state:
                (count,) = state.execute("SELECT count(*) FROM activities").fetchone() or (0,)
            assert (activity.outcome, count > 0) == ("success", True)
            up.stop()
    assert [each for room in ("prefect", "state") for each in (home.path / "home" / room).glob("*.db")] == []
