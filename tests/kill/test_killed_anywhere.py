"""SIGKILL between any two things that an operation does: old or new is served, and nothing is left."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from branchline.launch import run_flow
from branchline.platform import Platform
from tests.kill.children import Children
from tests.kill.scenarios import SCENARIOS, Scenario, Served
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, schema_served, version_served
from tests.workshop.thorough import KILL_EVERY

PARTS = 3 if KILL_EVERY == 1 else 1

pytestmark = pytest.mark.kill


@dataclass(frozen=True)
class Template:
    """What a scenario begins with, put aside; it is used where it was made."""

    kept: Path
    place: Path
    events: list[str]

    def fresh(self) -> Home:
        Home(self.place).remove()
        return Home(self.kept).copy_to(self.place)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory, flows: Children) -> Iterator["Templates"]:
    directory = tmp_path_factory.mktemp("kill")
    yield Templates(directory, flows)
    Home(directory).remove()


class Templates:
    """Made once per worker and scenario, with one undisturbed run that tells the events."""

    def __init__(self, directory: Path, flows: Children) -> None:
        self._directory = directory
        self._flows = flows
        self._made: dict[str, Template] = {}

    def of(self, name: str) -> Template:
        if name not in self._made:
            self._made[name] = self._make(name, SCENARIOS[name])
        return self._made[name]

    def _make(self, name: str, scenario: Scenario) -> Template:
        place = self._directory / name.replace(" ", "-")
        home = Home(place).make()
        home.commit(application(1))
        home.init()
        scenario.prepare(home)
        kept = place.with_name(f"{place.name}-kept")
        home.copy_to(kept)
        code, events = self._flows.run(home, scenario.flow, scenario.parameters, None)
        assert code == 0, events
        with home.opened() as platform:
            assert litter(platform, home) == []
            assert served(platform, scenario) == scenario.new
        return Template(kept, place, events)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_anywhere_it_is_old_or_new_and_nothing_is_left(
    name: str, part: int, templates: Templates, flows: Children
) -> None:
    scenario, template = SCENARIOS[name], templates.of(name)
    problems = []
    for at in points(template.events)[part::PARTS]:
        home = template.fresh()
        code, _ = flows.run(home, scenario.flow, scenario.parameters, at)
        found = ["it was not killed"] if code != -9 else list(after_recovery(home, scenario))
        problems += [f"before {at}, {template.events[at]}: {each}" for each in found]
    shutil.rmtree(template.place / "tmp")
    assert problems == []


def after_recovery(home: Home, scenario: Scenario) -> Iterator[str]:
    """What is wrong after it, and after the next deploy."""
    with home.opened() as platform:
        ended = platform.operations.recover()
        yield from litter(platform, home)
        now = served(platform, scenario)
        if now not in (scenario.old, scenario.new):
            yield f"it serves {now}"
        for activity in ended:
            if scenario.old != scenario.new and (activity.result == "success") != (now == scenario.new):
                yield f"it serves {now}, and the activity says {activity.result}: {activity.reason}"
        yield from scenario.also(platform, now)
        again = run_flow("deploy_environment", {"environment": scenario.environment, **scenario.next})
        if again.outcome != "success" or again.warnings:
            yield f"the next deploy: {again.outcome} {again.warnings}"
        yield from (f"after the next deploy: {each}" for each in litter(platform, home))


def served(platform: Platform, scenario: Scenario) -> Served:
    return version_served(platform, scenario.environment), schema_served(platform, scenario.environment)


def points(events: list[str]) -> list[int]:
    """Every transaction, and the middle of what happens between two of them; or every KILL_EVERY of these, and all around
    the commit point."""
    chosen, between = [], []
    for at, event in enumerate(events):
        if event.startswith("write "):
            chosen += [between[len(between) // 2], at] if between else [at]
            between = []
        else:
            between.append(at)
    around = [
        place
        for place, at in enumerate(chosen)
        if any("Deployments.commit" in event for event in events[max(0, at - 1) : at + 2])
    ]
    return sorted({*chosen[::KILL_EVERY], *(chosen[place] for place in around)})


def test_what_is_left_at_some_point_is_seen(home: Home) -> None:
    with home.opened() as platform:
        run_flow("deploy_environment", {"environment": "store/master"})
        (platform.layout.scratch("a-1")).mkdir(parents=True)
        (platform.layout.artifacts / "incoming/x").write_text("x")
        environment = platform.store.environments.get("store", "master")
        platform.layout.hold_file(environment).write_text("x")
        platform.layout.current(environment).unlink()
        found = " ".join(litter(platform, home))
    for word in ("scratch: a-1", "incoming: x", "left there: hold", "current points to None"):
        assert word in found
