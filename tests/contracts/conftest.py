from __future__ import annotations

from pathlib import Path

import pytest

from tests.workshop.benches import Bench, SqliteBench


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "sqlite":
        return SqliteBench(tmp_path / "service")
    made: Bench = request.getfixturevalue(f"{request.param}_bench")
    return made
