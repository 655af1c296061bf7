"""What the dispatcher does for releases: a run for each moment, one more where that did not do, and a word about the missed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from branchline.domain.activity import Want
from branchline.domain.release import NewRelease, Release
from branchline.errors import BadInput, Unavailable
from branchline.launch.duties import releases as duty
from branchline.launch.server import RunState
from branchline.operation import Request
from branchline.platform import Platform
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.home import Home

DUE = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@dataclass
class FakeServer:
    """Knows runs by their keys, as Prefect does."""

    url: str
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    away: bool = False

    def start(self, deployment: str, parameters: Mapping[str, Any], *, key: str, **how: Any) -> str:
        if self.away:
            raise Unavailable(350, "It does not answer.")
        assert deployment == "run-release/run-release"
        self.keys.setdefault(key, {"parameters": dict(parameters), **how})
        return key

    def state(self, run: str) -> RunState:
        if run not in self.keys:
            raise BadInput(351, "It has no such thing.")
        return RunState("COMPLETED" if run in self.ended else "SCHEDULED", "", "")


@dataclass
class Stage:
    platform: Platform
    server: FakeServer
    now: datetime = DUE - MINUTE

    def turn(self, now: datetime) -> list[str]:
        """The keys of the runs that are new after it."""
        self.now = now
        before = set(self.server.keys)
        duty.run(self.platform, self.server)  # type: ignore[arg-type]
        return sorted(set(self.server.keys) - before)

    def release(self, at: datetime = DUE, tier: str = "staging", **other: Any) -> Release:
        source, target = (environment_at(self.platform, f"store/{each}") for each in ("master", tier))
        running = self.platform.current(source)
        new = NewRelease(
            kind="promotion",
            environment_id=target.id,
            source_id=source.id,
            digest=running.digest,
            commit=running.commit,
            due_at=at,
            zone="Europe/Berlin",
            latest_start_at=at + 15 * MINUTE,
            late="ask",
            author="ann",
        )
        return self.platform.store.releases.create(replace(new, **other), self.now)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("duty") / "branchline").make()
    made.commit(application(1, kind="none"))
    made.init()
    made.run("deploy_environment", environment="store/master")
    made.run("promote_to_staging", project="store")
    made.run("deploy_environment", environment="store/master", force=True)
    yield made
    made.remove()


@pytest.fixture
def stage(shop: Home, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with shop.opened() as platform:
        made = Stage(platform, FakeServer(f"http://{request.node.name}.test/api"))
        made.platform = replace(platform, clock=lambda: made.now)
        yield made
        for each in platform.store.releases.list(states=("scheduled", "asking")):
            platform.store.releases.cancel(each.id, "the test", "it is over", made.now)


def base(environment: str = "store/staging", minute: int = 0) -> str:
    return f"release:{environment}:2026-11-24T13:{minute:02}:00Z"


def test_releases_of_one_environment_and_moment_have_one_run_at_that_time(stage: Stage) -> None:
    for _ in range(2):
        stage.release()
    stage.release(DUE + MINUTE)
    stage.release(tier="production")
    assert stage.turn(DUE - MINUTE) == [base("store/production"), base(), base(minute=1)]
    made = stage.server.keys[base("store/production")]
    assert made == {
        "parameters": {"environment": "store/production"},
        "at": DUE,
        "production": True,
        "name": "what is due on store/production at Tue 2026-11-24 14:00 CET",
    }
    assert not stage.server.keys[base()]["production"]
    assert stage.turn(DUE - MINUTE + SECOND) == []


def test_what_is_held_has_no_run_until_it_is_resumed(stage: Stage) -> None:
    release = stage.release()
    stage.platform.store.releases.hold(release.id, "bob", "not today", stage.now)
    assert stage.turn(DUE + MINUTE) == []
    stage.platform.store.releases.resume(release.id, "bob", stage.now)
    assert stage.turn(DUE + MINUTE) == [base()]


def test_the_run_of_its_time_is_waited_for_and_then_one_a_minute_is_started(stage: Stage) -> None:
    stage.release()
    stage.turn(DUE - MINUTE)
    assert stage.turn(DUE + SECOND) == [], "its run is about to begin"
    stage.server.ended.add(base())
    again = stage.turn(DUE + 10 * SECOND)
    assert again == [f"{base()}:2026-11-24T13:00Z"]
    assert stage.turn(DUE + 2 * MINUTE) == [], "that one has not ended"
    stage.server.ended.update(again)
    assert stage.turn(DUE + 2 * MINUTE) == [f"{base()}:2026-11-24T13:02Z"]
    stage.server.ended.update(stage.server.keys)
    assert stage.turn(DUE + 2 * MINUTE + SECOND) == [], "once a minute"


def test_a_run_that_does_not_end_is_not_waited_for_for_ever(stage: Stage) -> None:
    stage.release(late="run")
    stage.turn(DUE)
    assert stage.turn(DUE + 4 * MINUTE) == []
    assert stage.turn(DUE + 6 * MINUTE) == [f"{base()}:2026-11-24T13:06Z"]


def test_what_the_server_has_lost_is_made_again(stage: Stage) -> None:
    stage.release()
    stage.turn(DUE - MINUTE)
    stage.server.keys.clear()
    assert stage.turn(DUE + SECOND) == [base()]


def test_nothing_is_started_while_somebody_is_at_its_environment(stage: Stage) -> None:
    stage.release()
    stage.turn(DUE - MINUTE)
    stage.server.ended.add(base())
    wants = [Want("environment:store/staging")]
    request = Request("test", "store", "staging", wants, "a long deploy", {}, "bob")
    stage.now = datetime.now(UTC)
    with stage.platform.operations.run(request):
        assert stage.turn(DUE + MINUTE) == []
    assert stage.turn(DUE + MINUTE) == [f"{base()}:2026-11-24T13:01Z"]


def test_what_waits_for_a_gate_is_not_started_and_says_why(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "branchline.steps.releases.running.why_it_waits", lambda *_: "waits: soak: 1 h of 2 h"
    )
    release = stage.release()
    stage.turn(DUE - MINUTE)
    stage.server.ended.add(base())
    assert stage.turn(DUE + MINUTE) == []
    assert stage.platform.store.releases.get(release.id).reason == "waits: soak: 1 h of 2 h"
    monkeypatch.undo()
    assert stage.turn(DUE + MINUTE) == [f"{base()}:2026-11-24T13:01Z"]


def test_a_missed_one_is_reported_without_any_run(stage: Stage) -> None:
    release = stage.release()
    stage.turn(DUE - MINUTE)
    stage.server.ended.add(base())
    assert stage.turn(DUE + 16 * MINUTE) == []
    assert stage.platform.store.releases.get(release.id).state == "asking"


def test_a_server_that_is_away_is_asked_again(stage: Stage) -> None:
    stage.release()
    stage.server.away = True
    with pytest.raises(Unavailable):
        stage.turn(DUE - MINUTE)
    stage.server.away = False
    assert stage.turn(DUE - MINUTE) == [base()]
