"""From `git push` to the switched environment, the build cached and everything up, over the time of the hooks themselves."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from branchline.platform import Platform
from tests.server.upped import upped
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.pushing import of_a_pusher, push

ROUNDS = 5


def measure() -> list[dict[str, object]]:
    """Medians. Each push brings a new commit of one of two trees, which were both built before."""
    with tempfile.TemporaryDirectory() as place:
        home = Home(Path(place) / "branchline").make()
        home.commit(application(1))
        home.init()
        plain = Path(place) / "plain.git"
        subprocess.run(["git", "init", "-q", "--bare", str(plain)], check=True)
        with upped(home) as up, home.opened() as platform:
            for each in range(2):
                _switched(home, platform, each)
            switched = [_switched(home, platform, each) for each in range(ROUNDS)]
            bare = [_without_hooks(home, plain) for _ in range(ROUNDS)]
            up.stop()
        hooks = [_with_hooks(home) for _ in range(ROUNDS)]
        home.remove()
    whole, alone = statistics.median(switched), statistics.median(hooks) - statistics.median(bare)
    return [
        {
            "job": f"git push to switched environment, built before: {whole:.1f} s",
            "against": f"its hooks alone: {alone:.2f} s",
            "ratio": round(whole / alone, 1),
            "at_most": None,
        }
    ]


def _switched(home: Home, platform: Platform, number: int) -> float:
    """Seconds from the push to the commit point of its deployment."""
    home.commit(application(1 + number % 2), subject=f"Round {number}")
    began = datetime.now(UTC)
    done = push(home, "HEAD:master")
    assert "store/master runs" in done.said, done.said
    row = platform.store.pushes.recent(limit=1)[0]
    switched = platform.store.activities.get(row.activity_id or "").committed_at
    assert switched is not None
    return (switched - began).total_seconds()


def _with_hooks(home: Home) -> float:
    """Nobody is up, so that a push ends with its hooks."""
    home.commit(application(1), subject="Nobody is up")
    began = time.perf_counter()
    assert push(home, "HEAD:master").accepted
    return time.perf_counter() - began


def _without_hooks(home: Home, repository: Path) -> float:
    home.commit(application(1), subject="No hooks")
    began = time.perf_counter()
    subprocess.run(
        ["git", "push", "-q", str(repository), "HEAD:master"],
        cwd=home.path / "checkout",
        env=of_a_pusher(),
        check=True,
    )
    return time.perf_counter() - began
