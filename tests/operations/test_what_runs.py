"""`branchline status` says whether what is pushed or due is carried to a server, and whether anybody runs it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from branchline.platform import Platform
from branchline.steps.running import in_words, what_runs
from tests.workshop.home import Home

SAID: dict[str, Any] = {
    "server": "http://harbour.test/api",
    "reachable": True,
    "workers": ["harbour"],
    "failing": {},
}
NOBODY = ["no dispatcher: pushes and releases wait until one runs (branchline up)"]


@pytest.fixture
def platform(home: Home) -> Iterator[Platform]:
    with home.opened() as opened:
        yield opened


def words(platform: Platform, **said: Any) -> list[str]:
    now = platform.clock()
    this = platform.operations.processes.this()
    since = (now - timedelta(minutes=5)).isoformat()
    platform.store.running.take("dispatcher", this, now, {**SAID, "since": since, **said}, instead_of=None)
    return list(in_words(what_runs(platform), now))


def test_while_one_dispatches_its_server_and_workers_are_named(platform: Platform) -> None:
    this = platform.operations.processes.this()
    assert words(platform) == [
        "server: http://harbour.test/api",
        f"dispatcher: process {this.pid} on {this.host}, for 5 min",
        "workers: harbour",
    ]


def test_what_is_wrong_is_said(platform: Platform) -> None:
    said = words(platform, reachable=False, workers=[], failing={"sweep": "Unavailable: it is away"})
    assert said[0] == "server: http://harbour.test/api (does not answer)"
    assert said[2:] == [
        "workers: none, so nothing that is started runs",
        "sweep fails: Unavailable: it is away",
    ]


def test_without_one_or_when_it_is_dead_or_silent_it_is_said_that_things_wait(platform: Platform) -> None:
    state, this = platform.store.running, platform.operations.processes.this()
    now = platform.clock()
    assert in_words(what_runs(platform), now) == NOBODY
    words(platform)
    later = replace(platform, clock=lambda: now + timedelta(minutes=1))
    assert in_words(what_runs(later), now) == NOBODY
    dead = replace(this, pid_started=1.0)
    state.take("dispatcher", dead, now, SAID, instead_of=state.last("dispatcher"))
    assert in_words(what_runs(platform), now) == NOBODY
