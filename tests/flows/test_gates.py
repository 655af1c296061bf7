"""A closed gate refuses and changes nothing, whatever the way in; who goes through it answers for it."""

import sqlite3

import pytest
import yaml

from branchline.domain.activity import Want
from branchline.domain.variable import Variable
from branchline.errors import Refused
from branchline.operation import Request
from branchline.steps import approvals
from branchline.steps.assessment import Held
from branchline.steps.preview import as_markdown
from branchline.steps.projects import guard_pushes
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.clock import Clock
from tests.workshop.home import Home
from tests.workshop.litter import litter, version_served

FREEZE = {
    "reason": "Christmas",
    "zone": "UTC",
    "from": "2026-11-24 00:00",
    "until": "2026-11-25 00:00",
    "may_override": ["ann"],
}
CLOSED = {
    "soak": {"soak": "1h"},
    "approval": {"approvals": {"count": 1}},
    "freeze": {"freezes": [FREEZE]},
    "parity": {"parity": ["config"]},
    "backup": {"backup_within": "1h"},
}
PRODUCTION = "store/production"


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """Where a home is worked in, and as it was when version 1 ran everywhere, and version 2 on master and Staging, which
    has a variable of its own.
    """
    directory = tmp_path_factory.mktemp("gates")
    made, clock = Home(directory / "branchline").make(), Clock()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("branchline.wiring._now", clock)
        made.commit(application(1, kind="compatible"))
        made.init()
        made.run("deploy_environment", environment="store/master")
        made.run("promote_to_staging", project="store")
        promote(made)
        first = made.copy_to(directory / "first")
        deploy(made, 2, kind="compatible")
        made.run("promote_to_staging", project="store")
        variable(made, "staging", "CDN")
        second = made.copy_to(directory / "second")
    yield made, first, second, clock.now
    for each in (made, first, second):
        each.remove()


@pytest.fixture
def clock(everywhere, monkeypatch):
    made = Clock(everywhere[-1])
    monkeypatch.setattr("branchline.wiring._now", made)
    return made


@pytest.fixture
def ready(everywhere, clock):
    """Version 1 runs everywhere, version 2 on master and Staging; one variable is Staging's only."""
    home, _, second, _ = everywhere
    home.remove()
    second.copy_to(home.path)
    return home


@pytest.fixture
def direct(everywhere, clock):
    """Version 1 runs on master, Staging and Production, and people may push to Production."""
    home, first, _, _ = everywhere
    home.remove()
    first.copy_to(home.path)
    rules(home, direct_push=True)
    with home.opened() as platform:
        guard_pushes(platform, platform.store.environments.project("store"))
    return home


def deploy(home, version, **asked):
    home.commit(application(version, **asked))
    home.push()
    return home.run("deploy_environment", environment="store/master")


def rules(home, tier="production", **changed):
    path = home.path / "config/plans.yaml"
    plans = yaml.safe_load(path.read_text())
    plans["plans"]["pro"]["tiers"][tier] |= changed
    path.write_text(yaml.safe_dump(plans))


def variable(home, environment, name, value="x", **kind):
    with home.opened() as platform:
        project = platform.store.environments.project("store")
        found = platform.store.environments.get("store", environment) if environment else None
        platform.store.variables.set(project, found, Variable(name, value, **kind))


def mark_bad(home, path, reason="it hung"):
    """What runs on Staging failed there, or elsewhere."""
    name = path.partition("/")[2]
    with home.opened() as platform:
        digest = platform.current(environment_at(platform, "store/staging")).digest
        asked = Request("test", "store", name, [Want(f"environment:{path}")], "a mark", {}, "ann")
        with platform.operations.run(asked) as operation:
            target = environment_at(platform, path)
            platform.store.artifacts.mark_bad(operation.grip, target, digest, reason, platform.clock())


def state(home, path=PRODUCTION):
    """What runs, what its branch and variables are; and nothing lies about."""
    with home.opened() as platform:
        assert litter(platform, home) == []
        environment = environment_at(platform, path)
        tip = platform.repository("store").branches().get(environment.branch)
        return version_served(platform, path), environment.deployment_id, tip


def last(home, environment="production"):
    with home.opened() as platform:
        return platform.store.activities.recent("store", environment)[0]


def promote(home, **asked):
    return home.run("promote_to_production", project="store", **asked)


@pytest.mark.parametrize("gate", CLOSED)
def test_a_closed_gate_refuses_a_promotion_and_changes_nothing(ready, gate):
    rules(ready, **CLOSED[gate])
    before = state(ready)
    with pytest.raises(Refused, match=f"- {gate}: ") as refused:
        promote(ready)
    assert refused.value.number == 206
    assert isinstance(refused.value, Held) == (gate in ("soak", "freeze"))
    assert state(ready) == before
    assert (last(ready).result, f"{gate}: " in last(ready).reason) == ("refused", True)


@pytest.mark.parametrize("gate", CLOSED)
def test_an_override_goes_through_and_is_recorded_with_who_and_why(ready, gate):
    rules(ready, **CLOSED[gate])
    done = promote(ready, override=[gate], reason="the shop is down")
    assert done.outcome == "success"
    assert list(done.warnings) == [f"gate {gate} was overridden by ann: the shop is down"]
    assert last(ready).parameters["override"] == [gate]
    assert last(ready).parameters["reason"] == "the shop is down"
    assert state(ready)[0] == "2"


def test_all_gates_that_hold_are_told_at_once_and_each_needs_an_override(ready):
    for keys in CLOSED.values():
        rules(ready, **keys)
    with pytest.raises(Refused) as refused:
        promote(ready, override=["soak", "parity"], reason="the shop is down")
    said = refused.value.message
    assert [gate for gate in CLOSED if f"- {gate}: " in said] == ["approval", "freeze", "backup"]
    done = promote(ready, override=list(CLOSED), reason="the shop is down")
    assert len(done.warnings) == len(CLOSED)


def test_a_gate_that_passes_anyway_is_not_reported_as_overridden(ready):
    assert list(promote(ready, override=["soak", "freeze"], reason="to be sure").warnings) == []


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"override": ["freeze"]}, 220),
        ({"override": ["moon"], "reason": "why"}, 221),
        ({"override": ["bad-artifact"], "reason": "why"}, 222),
    ],
)
def test_an_override_that_makes_no_sense_begins_nothing(ready, asked, number):
    before = last(ready).id
    with pytest.raises(Refused) as refused:
        promote(ready, **asked)
    assert refused.value.number == number
    assert last(ready).id == before


@pytest.mark.parametrize(
    ("tier", "settings"),
    [({"may_override": ["bob"]}, {}), ({}, {"ui_actor": "ann"}), ({"may_override": []}, {})],
)
def test_who_may_not_override_is_refused_and_nothing_changes(ready, tier, settings):
    rules(ready, **CLOSED["soak"], **tier)
    ready.configure(settings)
    before = state(ready)
    with pytest.raises(Refused, match="ann may not override the gate soak") as refused:
        promote(ready, override=["soak"], reason="the shop is down")
    assert refused.value.number == 223
    assert state(ready) == before


def test_a_freeze_is_overridden_only_by_those_it_names(ready):
    rules(ready, freezes=[FREEZE | {"may_override": ["bob"]}], may_override=["ann", "bob"])
    with pytest.raises(Refused, match="who may: bob"):
        promote(ready, override=["freeze"], reason="the shop is down")


def test_soak_passes_when_the_artifact_was_in_front_long_enough(ready, clock):
    rules(ready, soak="1h")
    with pytest.raises(Held, match=r"in front on store/staging for 0 s of 1 h; passes at 13:0\d UTC"):
        promote(ready)
    clock.on(hours=1)
    assert promote(ready).outcome == "success"


def test_new_data_on_the_source_do_not_begin_the_soak_anew_and_new_code_does(ready, clock):
    rules(ready, soak="1h")
    clock.on(minutes=50)
    ready.run("deploy_environment", environment="store/staging", force=True)
    clock.on(minutes=10)
    assert promote(ready, dry_run=True).against == []
    deploy(ready, 3, kind="compatible")
    ready.run("promote_to_staging", project="store")
    assert "soak: in front on store/staging for 0 s of 1 h" in promote(ready, dry_run=True).against[0]


def test_a_freeze_is_over_at_its_end(ready, clock):
    rules(ready, freezes=[FREEZE])
    with pytest.raises(Held, match="freeze: Christmas, until Wed 2026-11-25 00:00 UTC"):
        promote(ready)
    clock.on(hours=12)
    assert promote(ready).outcome == "success"


def test_parity_of_config_tells_names_and_never_values(ready):
    rules(ready, parity=["config"])
    variable(ready, "production", "TAX", "secret-rate")
    with pytest.raises(Refused) as refused:
        promote(ready)
    assert "variable CDN is set for store/staging only" in refused.value.message
    assert "variable TAX is set for store/production only" in refused.value.message
    assert "secret-rate" not in refused.value.message
    variable(ready, "production", "CDN")
    variable(ready, "staging", "TAX")
    assert promote(ready).outcome == "success"


def test_parity_of_services_compares_what_both_run(ready):
    rules(ready, parity=["services"])
    files = dict(application(3, kind="compatible"))
    files[".branchline/services.yaml"] += "log: {type: 'sqlite:3'}\n"
    ready.commit(files)
    ready.push()
    ready.run("deploy_environment", environment="store/master")
    ready.run("promote_to_staging", project="store")
    with pytest.raises(Refused, match=r"service log \(sqlite:3\) is declared on store/staging only"):
        promote(ready)


@pytest.mark.parametrize("kind", ["compatible", "exclusive"])
def test_a_migration_that_is_on_its_way_up_is_no_difference_of_schemas(ready, kind):
    rules(ready, parity=["schema"])
    deploy(ready, 3, kind=kind, schema=2)
    ready.run("promote_to_staging", project="store")
    assert promote(ready).outcome == "success"


def test_a_schema_that_was_changed_behind_its_back_is_a_difference(ready):
    rules(ready, parity=["schema"])
    with ready.opened() as platform:
        production = environment_at(platform, PRODUCTION)
        version = platform.current(production).data["database:db"]
        with sqlite3.connect(platform.database(production, "db").relationship(version)["path"]) as database:
            database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
    ready.run("deploy_environment", environment=PRODUCTION, force=True)
    with pytest.raises(Refused, match="schema of database db on store/production is not the one"):
        promote(ready)


def test_a_production_whose_artifact_staging_never_ran_is_not_taken_for_equal(clock, home):
    rules(home, parity=["schema"], direct_push=True)
    home.push("production")
    home.run("deploy_environment", environment=PRODUCTION, override=["parity"], reason="the first import")
    deploy(home, 2)
    home.run("promote_to_staging", project="store")
    with pytest.raises(Refused, match="nothing tells what schema database db had on store/staging"):
        promote(home)


def test_a_backup_opens_its_gate_while_it_is_young(ready, clock):
    rules(ready, backup_within="1h")
    path = ready.path / "config/plans.yaml"
    plans = yaml.safe_load(path.read_text())
    plans["plans"]["pro"]["data_retention"] = "1d"
    path.write_text(yaml.safe_dump(plans))
    for version in (3, 4):
        deploy(ready, version)
        ready.run("promote_to_staging", project="store")
        override = {} if version == 4 else {"override": ["backup"], "reason": "the first one leaves a backup"}
        assert promote(ready, **override).outcome == "success"
    deploy(ready, 5)
    ready.run("promote_to_staging", project="store")
    clock.on(hours=2)
    with pytest.raises(Refused, match="the newest backup of database db is 2 h old"):
        promote(ready)


def test_what_failed_there_is_lifted_with_a_reason_only(ready):
    mark_bad(ready, PRODUCTION)
    before = state(ready)
    with pytest.raises(Refused, match=r"- bad-artifact: artifact \w+ failed here before: it hung"):
        promote(ready)
    assert state(ready) == before
    done = promote(ready, retry_bad="the disk was full")
    assert list(done.warnings) == ["gate bad-artifact was lifted by ann: the disk was full"]
    with ready.opened() as platform:
        environment = environment_at(platform, PRODUCTION)
        assert platform.store.artifacts.why_bad(environment, platform.current(environment).digest) is None


def test_a_refusal_for_another_reason_does_not_lift_the_mark(ready):
    mark_bad(ready, PRODUCTION)
    rules(ready, freezes=[FREEZE])
    with pytest.raises(Refused):
        promote(ready, retry_bad="the disk was full")
    rules(ready, freezes=[])
    with pytest.raises(Refused, match="bad-artifact"):
        promote(ready)


@pytest.mark.parametrize(
    ("gate", "keys"),
    [*CLOSED.items(), ("verified", {"verified_on": "staging"})],
)
def test_a_closed_gate_refuses_a_direct_deploy_of_new_code(direct, gate, keys):
    rules(direct, **keys)
    variable(direct, "staging", "CDN")
    direct.commit(application(2))
    direct.push("production")
    before = state(direct)
    with pytest.raises(Refused, match=f"- {gate}: ") as refused:
        direct.run("deploy_environment", environment=PRODUCTION)
    assert refused.value.number == 201
    assert state(direct) == before
    done = direct.run(
        "deploy_environment", environment=PRODUCTION, override=[gate], reason="the shop is down"
    )
    assert list(done.warnings) == [f"gate {gate} was overridden by ann: the shop is down"]


def test_a_direct_deploy_of_what_was_verified_on_staging_passes(direct):
    rules(direct, verified_on="staging")
    deploy(direct, 2)
    direct.run("promote_to_staging", project="store")
    direct.push("production")
    assert direct.run("deploy_environment", environment=PRODUCTION).outcome == "success"


def test_a_promotion_past_staging_is_held_until_staging_has_seen_the_artifact(direct):
    rules(direct, promoted_from="integration", verified_on="staging", direct_push=False)
    deploy(direct, 2)
    with pytest.raises(Refused, match="verified: this artifact was never in front on store/staging"):
        promote(direct)
    direct.run("promote_to_staging", project="store")
    assert promote(direct).outcome == "success"


def test_what_failed_on_staging_is_not_verified(direct):
    rules(direct, promoted_from="integration", verified_on="staging", direct_push=False)
    deploy(direct, 2)
    direct.run("promote_to_staging", project="store")
    mark_bad(direct, "store/staging")
    with pytest.raises(Refused, match="verified: it failed on store/staging: it hung"):
        promote(direct)


def test_a_redeploy_of_what_runs_meets_only_a_freeze(direct):
    for gate in ("soak", "approval", "parity", "backup"):
        rules(direct, **CLOSED[gate])
    variable(direct, "production", "TAX")
    assert direct.run("deploy_environment", environment=PRODUCTION).outcome == "success"
    rules(direct, freezes=[FREEZE])
    variable(direct, "production", "TAX", "y")
    with pytest.raises(Held, match="- freeze: "):
        direct.run("deploy_environment", environment=PRODUCTION)


def test_what_would_change_nothing_is_skipped_whatever_the_gates_say(direct):
    for keys in CLOSED.values():
        rules(direct, **keys)
    assert direct.run("deploy_environment", environment=PRODUCTION).outcome == "skipped"
    assert promote(direct).outcome == "skipped"


def test_nobody_is_trapped_on_a_bad_release(ready):
    promote(ready)
    for keys in CLOSED.values():
        rules(ready, **keys)
    mark_bad(ready, PRODUCTION)
    assert ready.run("roll_back_environment", environment=PRODUCTION).outcome == "success"
    assert state(ready)[0] == "1"


def test_a_rollback_goes_to_what_failed_there_only_with_a_reason(ready):
    promote(ready)
    with ready.opened() as platform:
        bad = platform.current(environment_at(platform, PRODUCTION)).id
    mark_bad(ready, PRODUCTION)
    ready.run("roll_back_environment", environment=PRODUCTION)
    before = state(ready)
    with pytest.raises(Refused, match="- bad-artifact: ") as refused:
        ready.run("roll_back_environment", environment=PRODUCTION, to=bad)
    assert refused.value.number == 226
    assert state(ready) == before
    done = ready.run("roll_back_environment", environment=PRODUCTION, to=bad, retry_bad="it was the disk")
    assert list(done.warnings) == ["gate bad-artifact was lifted by ann: it was the disk"]


def test_a_rollback_without_a_name_passes_over_what_failed_there(ready):
    promote(ready)
    mark_bad(ready, PRODUCTION)
    deploy(ready, 3, kind="compatible")
    ready.run("promote_to_staging", project="store")
    promote(ready)
    ready.run("roll_back_environment", environment=PRODUCTION)
    assert state(ready)[0] == "1"


def test_a_sync_is_held_by_its_targets_freeze_and_by_no_other_gate(ready):
    sync = {"environment": "store/staging"}
    rules(ready, freezes=[FREEZE])
    rules(ready, "staging", **{key: value for gate in CLOSED.values() for key, value in gate.items()})
    before = state(ready, "store/staging")
    with pytest.raises(Held) as refused:
        ready.run("sync_data", **sync)
    assert refused.value.number == 213
    assert refused.value.message.count("\n  - ") == 1
    assert state(ready, "store/staging") == before
    done = ready.run("sync_data", **sync, override=["freeze"], reason="a fresh copy")
    assert list(done.warnings) == ["gate freeze was overridden by ann: a fresh copy"]
    rules(ready, "staging", freezes=[])
    assert ready.run("sync_data", **sync).outcome == "success"


def test_a_release_is_what_approvals_are_given_to(ready, clock):
    rules(ready, approvals={"count": 1, "signed": False, "separation": True})
    with pytest.raises(Refused, match="branchline release create store production --at TIME"):
        promote(ready)
    made = ready.run("create_release", project="store", tier="production", at="2026-11-24 12:10 UTC")
    clock.on(minutes=11)
    ready.run("run_release", environment=PRODUCTION)
    assert state(ready)[0] == "1"
    with ready.opened() as platform:
        approvals.approve(platform, made.id, "approve", "ann", "", None, "ann")
    ready.run("run_release", environment=PRODUCTION)
    assert state(ready)[0] == "1"
    with ready.opened() as platform:
        approvals.approve(platform, made.id, "approve", "bob", "", None, "bob")
    ready.run("run_release", environment=PRODUCTION)
    assert state(ready)[0] == "2"


def test_a_preview_shows_every_gate_with_its_verdict(ready):
    rules(ready, **CLOSED["soak"], **CLOSED["freeze"], parity=["services"])
    seen = promote(ready, dry_run=True, override=["freeze"], reason="the shop is down")
    assert {each.gate: each.state for each in seen.gates} == {
        "bad-artifact": "passed",
        "soak": "held",
        "verified": "passed",
        "approval": "passed",
        "freeze": "overridden",
        "parity": "passed",
        "backup": "passed",
    }
    assert [each.partition(":")[0] for each in seen.against] == ["soak"]
    assert "| freeze | overridden | Christmas, until Wed 2026-11-25 00:00 UTC |" in as_markdown(seen)
    assert f"`{seen.hash}`" in as_markdown(seen)
