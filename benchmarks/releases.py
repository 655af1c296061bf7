"""200 releases due in the same minute on 20 environments, four processes that run them, one of them killed on the way.

By name only (`python -m benchmarks releases`): with what is built and deployed before, it takes several minutes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.workshop.home import Home
from tests.workshop.many_releases import Many
from tests.workshop.postgres import newest_binaries, private_server

PROJECTS, EACH, RUNNERS = 20, 10, 4
AS_IT_IS_SHIPPED = ("fsync=on", "full_page_writes=on", "synchronous_commit=on")


def measure() -> list[dict[str, object]]:
    """The ratio is the number of releases that were lost, ran twice or out of turn."""
    rows: list[dict[str, object]] = []
    for state in ("PostgreSQL", "SQLite"):
        with _many(state) as many:
            many.prepare()
            seconds = many.run(RUNNERS)
            problems = list(many.problems())
        count = PROJECTS * EACH
        rows.append(
            {
                "job": f"{count} releases, state in {state}: {count * 60 / seconds:.0f} a minute; lost or run twice",
                "against": "none",
                "ratio": len(problems),
                "at_most": 0,
            }
        )
    return rows


@contextmanager
def _many(state: str) -> Iterator[Many]:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = None
        if state == "PostgreSQL":
            binaries = newest_binaries()
            assert binaries is not None, "no PostgreSQL server is installed here"
            server = stack.enter_context(private_server(binaries, *AS_IT_IS_SHIPPED))
            url = stack.enter_context(server.database())
        home = Home(place / "branchline", url)
        stack.callback(home.remove)
        yield Many(home, PROJECTS, EACH)
