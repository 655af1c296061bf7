"""A plan is true until something moves that it was computed from; then it is refused before anything is made."""

import subprocess

import pytest
import yaml

from branchline.domain.activity import Want
from branchline.domain.variable import Variable
from branchline.errors import BadInput, Refused
from branchline.operation import Request
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.clock import Clock
from tests.workshop.home import Home
from tests.workshop.litter import litter, version_served

FREEZE = {"reason": "Sale", "zone": "UTC", "from": "2026-11-24 00:00", "until": "2026-11-25 00:00"}
WAYS = {
    "promote": ("promote_to_production", {"project": "store"}),
    "deploy": ("deploy_environment", {"environment": "store/master"}),
    "rollback": ("roll_back_environment", {"environment": "store/production"}),
    "sync": ("sync_data", {"environment": "store/staging", "policy_ref": "master"}),
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A home, and as it was when version 1 and 2 had run on Production, 3 runs on Staging, and 4 is on master's tip."""
    directory = tmp_path_factory.mktemp("plans")
    home, clock = Home(directory / "branchline").make(), Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("branchline.wiring._now", clock)
        home.commit(application(1, kind="compatible"))
        home.init()
        for version in (1, 2, 3):
            push(home, version)
            home.run("deploy_environment", environment="store/master")
            home.run("promote_to_staging", project="store")
            if version < 3:
                home.run("promote_to_production", project="store")
        push(home, 4)
        kept = home.copy_to(directory / "kept")
    yield home, kept, clock.now
    for each in (home, kept):
        each.remove()


@pytest.fixture
def clock(workshop, monkeypatch):
    made = Clock(workshop[-1])
    monkeypatch.setattr("branchline.wiring._now", made)
    return made


@pytest.fixture
def planned(workshop, clock):
    home, kept, _ = workshop
    home.remove()
    kept.copy_to(home.path)
    return home


def push(home, version):
    home.commit(application(version, kind="compatible"))
    home.push()


def plan(home, way):
    flow, asked = WAYS[way]
    return home.run(flow, **asked, dry_run=True)


def go(home, way, **asked):
    flow, usual = WAYS[way]
    return home.run(flow, **usual, **asked)


def state(home):
    with home.opened() as platform:
        assert litter(platform, home) == []
        found = platform.store.environments.of(platform.store.environments.project("store"))
        return [
            (
                each.path,
                each.deployment_id,
                version_served(platform, each.path),
                len(platform.store.artifacts.all()),
            )
            for each in found
        ]


def redeploy(path):
    return lambda home: home.run("deploy_environment", environment=path, force=True)


def set_variable(environment, **kind):
    def change(home):
        with home.opened() as platform:
            project = platform.store.environments.project("store")
            found = platform.store.environments.get("store", environment) if environment else None
            platform.store.variables.set(project, found, Variable("TAX", "19", **kind))

    return change


def rules(home, tier, **changed):
    path = home.path / "config/plans.yaml"
    plans = yaml.safe_load(path.read_text())
    plans["plans"]["pro"]["tiers"][tier] |= changed
    path.write_text(yaml.safe_dump(plans))


def close(tier):
    return lambda home: rules(home, tier, freezes=[FREEZE])


def move(branch):
    def change(home):
        bare = home.path / "home/repositories/store.git"
        moved = home.commit(application(9), subject="Moved by hand")
        subprocess.run(
            ["git", "-C", str(home.path / "checkout"), "push", "-q", str(bare), f"{moved}:refs/heads/moved"],
            check=True,
        )
        subprocess.run(["git", "-C", str(bare), "update-ref", f"refs/heads/{branch}", moved], check=True)

    return change


MOVES = {
    "promote: the source was redeployed": ("promote", redeploy("store/staging")),
    "promote: the target was deployed": ("promote", redeploy("store/production")),
    "promote: the target's branch was moved": ("promote", move("production")),
    "promote: a variable of the target was changed": ("promote", set_variable("production")),
    "promote: a gate was closed": ("promote", close("production")),
    "deploy: the branch was pushed to": ("deploy", lambda home: push(home, 5)),
    "deploy: the target was deployed": ("deploy", redeploy("store/master")),
    "deploy: a variable was changed": ("deploy", set_variable("master")),
    "deploy: a variable of the build was changed": (
        "deploy",
        set_variable(None, at_build=True, at_run=False),
    ),
    "deploy: a gate was closed": ("deploy", close("integration")),
    "rollback: the target was deployed": ("rollback", redeploy("store/production")),
    "rollback: a variable was changed": ("rollback", set_variable("production")),
    "sync: the source was deployed": ("sync", redeploy("store/production")),
    "sync: the target was deployed": ("sync", redeploy("store/staging")),
    "sync: the policy's branch was moved": ("sync", lambda home: push(home, 5)),
    "sync: a gate was closed": ("sync", close("staging")),
}


@pytest.mark.parametrize("moved", MOVES)
def test_what_has_moved_makes_a_plan_untrue_and_nothing_is_made(planned, moved):
    way, change = MOVES[moved]
    told = plan(planned, way).hash
    change(planned)
    before = state(planned)
    with pytest.raises(Refused, match=f"The plan {told} is not true any more") as refused:
        go(planned, way, plan=told)
    assert refused.value.number == 224
    assert "branchline plan" in refused.value.hint
    assert state(planned) == before
    assert plan(planned, way).hash != told


@pytest.mark.parametrize("way", WAYS)
def test_a_plan_under_which_nothing_moves_stays_true_while_time_passes(planned, clock, way):
    told = plan(planned, way).hash
    clock.on(days=3)
    assert plan(planned, way).hash == told
    assert go(planned, way, plan=told).outcome == "success"
    with planned.opened() as platform:
        assert platform.store.activities.recent()[0].parameters["plan"] == told


def test_a_plan_changes_when_time_opens_a_gate_and_not_before(planned, clock):
    rules(planned, "production", soak="1h")
    told = plan(planned, "promote")
    clock.on(minutes=20)
    later = plan(planned, "promote")
    assert later.against != told.against
    assert later.hash == told.hash
    clock.on(hours=1)
    assert plan(planned, "promote").hash != told.hash


def test_a_plan_of_what_is_held_is_the_plan_of_its_override(planned):
    rules(planned, "production", freezes=[FREEZE | {"may_override": ["ann"]}])
    told = plan(planned, "promote").hash
    assert (
        go(planned, "promote", plan=told, override=["freeze"], reason="the shop is down").outcome == "success"
    )


def test_a_plan_of_what_failed_before_is_the_plan_of_trying_it_again(planned):
    with planned.opened() as platform:
        digest = platform.current(environment_at(platform, "store/staging")).digest
        asked = Request(
            "test", "store", "production", [Want("environment:store/production")], "a mark", {}, "ann"
        )
        with platform.operations.run(asked) as operation:
            target = environment_at(platform, "store/production")
            platform.store.artifacts.mark_bad(operation.grip, target, digest, "slow", platform.clock())
    told = plan(planned, "promote").hash
    assert go(planned, "promote", plan=told, retry_bad="it was the disk").outcome == "success"


@pytest.mark.parametrize(
    "word", ["", "moon", "c03afe1e1d5", "c03afe1e1d5dd", "C03AFE1E1D5D", "'; DROP TABLE x"]
)
def test_what_is_no_hash_is_bad_input(planned, word):
    before = state(planned)
    with pytest.raises(BadInput) as refused:
        go(planned, "promote", plan=word)
    assert refused.value.number == 225
    assert state(planned) == before


def test_a_dry_run_says_too_that_its_plan_is_not_true_any_more(planned):
    with pytest.raises(Refused, match="not true any more"):
        go(planned, "promote", plan="c03afe1e1d5d", dry_run=True)


def test_a_sync_that_was_done_is_another_plan_when_it_is_done_again(planned):
    told = plan(planned, "sync").hash
    go(planned, "sync")
    assert plan(planned, "sync").hash != told
