"""One dispatcher at a time does all duties, and none of them can hold up another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from branchline.domain.activity import Holder
from branchline.domain.running import SILENT
from branchline.launch import dispatcher
from branchline.launch.duties import DUTIES, name_of
from branchline.platform import Platform
from tests.workshop.home import Home
from tests.workshop.waiting import until

ELSEWHERE = Holder("another-host", "boot", 10, 100.0)


@dataclass
class Counted:
    """A duty that says how often its turn came."""

    act: Callable[[], None] = lambda: None
    EVERY: float = 0.01
    turns: int = 0
    name: str = "counted"

    def __post_init__(self) -> None:
        self.__name__ = f"branchline.launch.duties.{self.name}"

    def run(self, platform: Platform, server: Any) -> None:  # noqa: ARG002 - what a duty takes
        self.turns += 1
        self.act()


@dataclass
class FakeServer:
    place: str = "http://harbour.test/api"
    answers: bool = True
    workers: Any = field(default=lambda _pool: ["harbour"])

    def alive(self) -> bool:
        return self.answers


@pytest.fixture
def platform(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr(dispatcher, "BEAT_SECONDS", 0.01)
    with home.opened() as opened:
        yield opened


@contextmanager
def dispatching(
    platform: Platform, *duties: Any, server: Any = None
) -> Iterator[tuple[threading.Thread, threading.Event]]:
    stop = threading.Event()
    thread = threading.Thread(target=dispatcher.run, args=(platform, server or FakeServer(), stop, duties))
    thread.start()
    try:
        yield thread, stop
    finally:
        stop.set()
        thread.join()


def broken() -> None:
    raise ValueError("no such\nluck")


def test_a_duty_that_fails_is_tried_again_and_holds_up_no_other(
    platform: Platform, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "LONGEST_WAIT", 0.02)
    good, bad = Counted(), Counted(broken, name="failing")
    with caplog.at_level(logging.INFO, "branchline.launch.dispatcher"), dispatching(platform, bad, good):
        until(lambda: bad.turns > 3 and good.turns > 3)
    assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == [
        "failing: ValueError: no such luck"
    ]


def test_a_duty_that_hangs_holds_up_no_other(platform: Platform) -> None:
    goes_on = threading.Event()
    good, hanging = Counted(), Counted(lambda: goes_on.wait() and None)
    with dispatching(platform, hanging, good):
        until(lambda: hanging.turns == 1 and good.turns > 3)
        goes_on.set()


def test_it_says_that_it_lives_which_server_it_reaches_and_what_fails(platform: Platform) -> None:
    def said() -> dict[str, Any]:
        beat = platform.store.running.alive("dispatcher", platform.clock())
        return dict(beat.detail) if beat else {}

    server = FakeServer()
    with dispatching(platform, Counted(broken, name="failing"), server=server):
        until(lambda: said().get("workers") == ["harbour"] and said()["failing"])
        assert said()["reachable"] is True
        assert said()["failing"] == {"failing": "ValueError: no such luck"}
        server.answers = False
        until(lambda: said()["reachable"] is False)
    assert platform.store.running.last("dispatcher") is None


def test_while_a_look_at_the_server_takes_its_time_it_says_what_it_saw_before(platform: Platform) -> None:
    beats, slow, goes_on = platform.store.running, threading.Event(), threading.Event()
    looks: list[bool] = []

    def alive() -> bool:
        looks.append(True)
        if len(looks) > 1:
            slow.set()
            goes_on.wait()
        return True

    def said() -> Any:
        beat = beats.last("dispatcher")
        return (beat.at, beat.detail.get("reachable")) if beat else (None, None)

    with dispatching(
        platform, server=SimpleNamespace(place="http://harbour.test/api", alive=alive, workers=list)
    ):
        slow.wait()
        until(lambda: said()[1] is not None)
        at, reachable = said()
        until(lambda: said()[0] > at)
        until(lambda: said()[0] > at)
        later = said()[1]
        goes_on.set()
    assert (reachable, later) == (True, True)


def test_a_server_that_is_busy_once_is_not_away_and_one_that_is_away_is_looked_at_no_less_often(
    platform: Platform,
) -> None:
    seen: list[object] = []
    answers = iter([True, *[False, True] * 3])

    def alive() -> bool:
        beat = platform.store.running.last("dispatcher")
        seen.append(beat.detail.get("reachable") if beat else None)
        return next(answers, False)

    server = SimpleNamespace(place="http://harbour.test/api", alive=alive, workers=list)
    with dispatching(platform, server=server):
        until(lambda: len(seen) > 7 + 2 * 12)
    assert False not in seen[:8]
    assert seen[-1] is False


def test_while_another_one_lives_it_stands_by(platform: Platform) -> None:
    state, duty = platform.store.running, Counted()
    state.take("dispatcher", ELSEWHERE, platform.clock(), {}, instead_of=None)
    looked = threading.Event()
    watched = replace(platform, clock=lambda: looked.set() or platform.clock())
    with dispatching(watched, duty):
        looked.wait()
    assert duty.turns == 0
    assert state.last("dispatcher").holder == ELSEWHERE


@pytest.mark.parametrize("how", ["silent", "dead"])
def test_it_goes_on_for_one_that_is_dead_or_silent(platform: Platform, how: str) -> None:
    this = platform.operations.processes.this()
    other, ago = {
        "silent": (ELSEWHERE, SILENT),
        "dead": (replace(this, pid_started=1.0), timedelta(0)),
    }[how]
    platform.store.running.take("dispatcher", other, platform.clock() - ago, {}, instead_of=None)
    duty = Counted()
    with dispatching(platform, duty):
        until(lambda: duty.turns > 0)
        assert platform.store.running.last("dispatcher").holder == this


def test_one_that_lost_its_place_stops_its_duties_and_stands_by(platform: Platform) -> None:
    state, duty = platform.store.running, Counted()
    with dispatching(platform, duty):
        until(lambda: duty.turns > 0)
        until(
            lambda: state.take(
                "dispatcher", ELSEWHERE, platform.clock(), {}, instead_of=state.last("dispatcher")
            )
        )
        until(lambda: "counted" not in {each.name for each in threading.enumerate()})
        turns = duty.turns
    assert duty.turns == turns
    assert state.last("dispatcher").holder == ELSEWHERE


def test_every_duty_has_its_pace_and_a_name_of_its_own() -> None:
    assert all(each.EVERY > 0 for each in DUTIES)
    assert len({name_of(each) for each in DUTIES}) == len(DUTIES)
    assert name_of(SimpleNamespace(__name__="branchline.launch.duties.sweep")) == "sweep"
