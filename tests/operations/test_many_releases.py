"""Releases due in the same minute, several processes, one of them killed: each runs once, in order, and none is lost."""

from pathlib import Path

import pytest

from tests.workshop.home import Home
from tests.workshop.many_releases import Many
from tests.workshop.thorough import ALL

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
PROJECTS, EACH, RUNNERS = (4, 5, 2)


@pytest.mark.parametrize("state", ["sqlite", "postgresql"][0 if ALL else 1 :])
def test_each_runs_once_in_order_and_none_is_lost(
    state: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if state == "postgresql" else None
    many = Many(Home(tmp_path / "branchline", url), PROJECTS, EACH)
    many.prepare()
    many.run(RUNNERS)
    assert list(many.problems()) == []
    many.home.remove()
