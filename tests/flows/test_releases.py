"""A release runs once, at its time, with what it has pinned, when its gates are open; else it says why, and is not lost."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from branchline.domain.release import NewRelease
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.steps import candidate
from branchline.steps.promote import environment_at
from branchline.steps.releases import creating
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import litter, version_served

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AT = "2026-11-24 14:00 Europe/Berlin"
DUE = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("branchline.wiring._now", made)
    return made


@pytest.fixture
def deployed(home, clock):
    """Version 1 runs on master."""
    deploy(home, 1)
    return home


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Version 1 runs on master; for what leaves it as it is."""
    made = Home(tmp_path_factory.mktemp("releases") / "branchline").make()
    made.commit(application(1, kind="none"))
    made.init()
    made.run("deploy_environment", environment="store/master")
    yield made
    made.remove()


def deploy(home, version, **asked):
    home.commit(application(version, kind="none", **asked))
    home.push()
    home.run("deploy_environment", environment="store/master", force=True)


def rules(home, tier="staging", **changed):
    path = home.path / "config/plans.yaml"
    plans = yaml.safe_load(path.read_text())
    plans["plans"]["pro"]["tiers"][tier] |= changed
    path.write_text(yaml.safe_dump(plans))


def create(home, tier="staging", at=AT, **asked):
    return home.run("create_release", project="store", tier=tier, at=at, **asked)


def run(home, environment="store/staging", **asked):
    return home.run("run_release", environment=environment, **asked)


def row(home, release):
    with home.opened() as platform:
        return platform.store.releases.get(release.id)


def served(home, environment="store/staging"):
    with home.opened() as platform:
        assert litter(platform, home) == []
        return version_served(platform, environment)


def activities(home):
    with home.opened() as platform:
        return [(each.kind, each.result) for each in platform.store.activities.recent(environment="staging")]


def test_at_its_time_it_puts_there_what_it_has_pinned_whatever_the_source_runs_then(deployed, clock):
    release = create(deployed)
    deploy(deployed, 2)
    assert run(deployed) == [], "not before its time"
    clock.now = DUE
    (summary,) = run(deployed)
    assert (summary.outcome, summary.kind) == ("success", "release")
    assert served(deployed) == "1"
    with deployed.opened() as platform:
        done = platform.store.releases.get(release.id)
        assert (done.state, done.activity_id, done.ended_at) == ("done", summary.activity, DUE)
        target = platform.current(environment_at(platform, "store/staging"))
        assert (target.digest, target.commit) == (release.artifact, release.commit)
        assert platform.repository("store").branches()["staging"] == release.commit
    assert run(deployed) == [], "once"


def test_what_is_due_on_an_environment_runs_in_order_each_as_an_operation_of_its_own(deployed, clock):
    first = create(deployed)
    deploy(deployed, 2)
    second = create(deployed)
    clock.now = DUE
    assert [each.sentence.split(":")[0] for each in run(deployed)] == [
        f"release {each.id}" for each in (first, second)
    ]
    assert served(deployed) == "2"


def test_what_runs_there_already_is_skipped(deployed, clock):
    release = create(deployed)
    deployed.run("promote_to_staging", project="store")
    clock.now = DUE
    (summary,) = run(deployed)
    assert summary.outcome == "skipped"
    assert (row(deployed, release).state, row(deployed, release).reason) == ("skipped", summary.reason)


def test_one_that_is_not_healthy_has_failed_and_the_next_runs_all_the_same(home, clock):
    picky = application(1, kind="compatible", check='test "$BRANCHLINE_ENVIRONMENT" != staging')
    home.commit(
        {**picky, ".branchline/app.yaml": picky[".branchline/app.yaml"].replace("timeout: 5s", "timeout: 1")}
    )
    home.push()
    home.run("deploy_environment", environment="store/master")
    sick = create(home)
    deploy(home, 2)
    well = create(home)
    clock.now = DUE
    with pytest.raises(Failed, match="not healthy"):
        run(home)
    assert (row(home, sick).state, row(home, well).state) == ("failed", "done")
    assert "not healthy" in row(home, sick).reason
    assert served(home) == "2"


def test_what_is_refused_for_good_has_failed_with_the_reason(deployed, clock):
    release = create(deployed)
    with deployed.opened() as platform:
        platform.artifacts.remove(release.artifact)
    clock.now = DUE
    with pytest.raises(Refused, match="is gone"):
        run(deployed)
    assert row(deployed, release).state == "failed"
    assert "is gone" in row(deployed, release).reason


@pytest.fixture
def soaking(deployed):
    """A release whose artifact must have been in front on master for two hours: until an hour after it is due."""
    rules(deployed, soak="2h")
    return deployed


def test_a_gate_that_can_open_leaves_it_scheduled_with_the_reason_and_without_an_activity(soaking, clock):
    release = create(soaking, window="2h")
    clock.now = DUE
    assert run(soaking) == []
    waiting = row(soaking, release)
    assert waiting.state == "scheduled"
    assert waiting.reason.startswith("waits: soak: in front on store/master for 1 h of 2 h")
    assert activities(soaking) == []
    clock.now = DUE + 60 * MINUTE
    assert [each.outcome for each in run(soaking)] == ["success"]
    assert row(soaking, release).state == "done"


def test_one_that_waits_holds_up_what_comes_after_it_there_and_nowhere_else(deployed, clock):
    deployed.run("promote_to_staging", project="store")
    waits = create(deployed, "production", window="2h")
    rules(deployed, "production", soak="2h")
    behind = create(deployed, "production", at="2026-11-24 14:01 Europe/Berlin")
    elsewhere = create(deployed)
    clock.now = DUE + MINUTE
    (summary,) = deployed.run("run_release")
    assert elsewhere.id in summary.sentence
    assert [row(deployed, each).state for each in (waits, behind)] == ["scheduled"] * 2


@pytest.mark.parametrize(("late", "state"), [("skip", "missed"), ("ask", "asking")])
def test_when_its_latest_start_is_over_its_policy_decides_and_it_is_told(soaking, clock, late, state):
    release = create(soaking, late=late)
    clock.now = DUE + 16 * MINUTE
    assert run(soaking) == []
    missed = row(soaking, release)
    assert (missed.state, missed.missed_at) == (state, clock.now)
    clock.now = DUE + 61 * MINUTE
    assert run(soaking) == [], "never silently"
    assert told(soaking, release) == ["scheduled", "missed"]


def told(home, release):
    with home.opened() as platform:
        return [
            each.news.event.removeprefix("branchline.release.")
            for each in platform.store.announcements.unsent()
            if each.news.payload.get("release") == release.id
        ]


def test_one_that_runs_all_the_same_is_told_to_be_late_and_still_meets_its_gates(soaking, clock):
    release = create(soaking, late="run")
    clock.now = DUE + 16 * MINUTE
    assert run(soaking) == []
    assert row(soaking, release).reason.startswith("waits: soak")
    clock.now = DUE + 61 * MINUTE
    (summary,) = run(soaking)
    assert summary.warnings == ("it was to start by Tue 2026-11-24 14:15 CET",)
    assert told(soaking, release) == ["scheduled", "missed", "due", "done"]


def test_a_hold_stays_until_it_is_lifted_and_then_the_policy_decides(deployed, clock):
    release = create(deployed, late="ask")
    with deployed.opened() as platform:
        creating.hold_release(platform, platform.store.releases.get(release.id), "bob", "stocktaking")
    clock.now = DUE
    assert run(deployed) == []
    with pytest.raises(Refused, match="held by bob: stocktaking"):
        run(deployed, release=release.id)
    clock.now = DUE + 16 * MINUTE
    with deployed.opened() as platform:
        creating.resume_release(platform, platform.store.releases.get(release.id), "bob")
    assert run(deployed) == []
    assert row(deployed, release).state == "asking"
    assert [each.outcome for each in run(deployed, release=release.id)] == ["success"]


def test_a_person_runs_one_before_its_time(deployed):
    release = create(deployed)
    (summary,) = deployed.run("run_release", release=release.id[:6])
    assert (summary.outcome, row(deployed, release).state) == ("success", "done")
    with pytest.raises(Refused, match="is done"):
        run(deployed, release=release.id)


def test_a_person_who_meets_a_closed_gate_is_told_and_the_release_stays_as_it_was(soaking, clock):
    release = create(soaking)
    with pytest.raises(Refused, match="soak"):
        run(soaking, release=release.id)
    assert row(soaking, release).state == "scheduled"
    clock.now = DUE + 16 * MINUTE
    run(soaking)
    with pytest.raises(Refused, match="soak"):
        run(soaking, release=release.id)
    assert row(soaking, release).state == "asking"


def test_a_person_overrides_a_gate_of_one_release_and_that_is_recorded(soaking):
    release = create(soaking)
    (summary,) = run(soaking, release=release.id, override=["soak"], reason="the shop is down")
    assert summary.warnings == ("gate soak was overridden by ann: the shop is down",)
    with pytest.raises(BadInput, match="none was named"):
        run(soaking, override=["soak"], reason="hurry")


def test_one_release_of_another_environment_is_not_run_there(deployed):
    release = create(deployed)
    with pytest.raises(BadInput, match="not of store/master"):
        run(deployed, "store/master", release=release.id)


def test_somebody_who_cancels_it_is_asked_whether_it_still_runs(deployed, clock, monkeypatch):
    release = create(deployed)
    clock.now = DUE
    monkeypatch.setattr(candidate, "check_candidate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(deployed)
    assert (row(deployed, release).state, served(deployed)) == ("asking", None)
    assert "cancelled" in row(deployed, release).reason
    monkeypatch.undo()


def interrupted(*_):
    raise KeyboardInterrupt


def test_cancelled_behind_the_switch_it_is_done(deployed, clock, monkeypatch):
    release = create(deployed)
    clock.now = DUE
    monkeypatch.setattr("branchline.steps.switch.finish", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(deployed)
    assert (row(deployed, release).state, served(deployed)) == ("done", "1")


def test_when_something_is_away_it_is_scheduled_as_before(deployed, clock, monkeypatch):
    def away(*_):
        raise Unavailable(427, "The artifact store does not answer.")

    release = create(deployed)
    clock.now = DUE
    with monkeypatch.context() as patch:
        patch.setattr(candidate, "check_candidate", away)
        with pytest.raises(Unavailable):
            run(deployed)
    waiting = row(deployed, release)
    assert (waiting.state, waiting.activity_id) == ("scheduled", None)
    assert "does not answer" in waiting.reason
    assert [each.outcome for each in run(deployed)] == ["success"]


def test_without_an_environment_all_that_is_due_runs_and_what_fails_holds_up_no_other(deployed, clock):
    deployed.run("promote_to_staging", project="store")
    production = create(deployed, "production")
    deploy(deployed, 2)
    staging = create(deployed)
    with deployed.opened() as platform:
        platform.artifacts.remove(production.artifact)
    clock.now = DUE
    with pytest.raises(Refused, match="is gone"):
        deployed.run("run_release")
    assert (row(deployed, production).state, row(deployed, staging).state) == ("failed", "done")


def test_a_sync_that_is_due_refreshes_the_data(home, clock):
    home.run("deploy_environment", environment="store/master")
    for tier in ("staging", "production"):
        home.run(f"promote_to_{tier}", project="store")
    with home.opened() as platform:
        source, target = (environment_at(platform, f"store/{each}") for each in ("production", "staging"))
        new = NewRelease("sync", target.id, source.id, None, None, DUE, "UTC", DUE, "skip", "ann")
        release = platform.store.releases.create(new, NOON)
    clock.now = DUE
    (summary,) = run(home)
    assert (summary.kind, summary.outcome, row(home, release).state) == ("sync", "success", "done")
    with home.opened() as platform:
        data = platform.current(environment_at(platform, "store/staging")).data
        assert {platform.store.deployments.version(each).contents for each in data.values()} == {"sanitized"}


def test_a_time_is_local_and_what_is_shown_is_local_too(deployed):
    release = create(deployed, at="2026-12-01 14:00", zone="America/New_York", window="30m")
    assert release.due_at == datetime(2026, 12, 1, 19, tzinfo=UTC)
    assert (release.due, release.latest_start) == ("Tue 2026-12-01 14:00 EST", "Tue 2026-12-01 14:30 EST")


def test_an_artifact_that_ran_there_is_released_by_the_beginning_of_its_digest(deployed, clock):
    with deployed.opened() as platform:
        first = platform.current(environment_at(platform, "store/master"))
    deploy(deployed, 2)
    release = create(deployed, artifact=first.digest.removeprefix("sha256:")[:9])
    assert (release.artifact, release.commit) == (first.digest, first.commit)
    clock.now = DUE
    run(deployed)
    assert served(deployed) == "1"


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"at": "2025-11-24 12:59 Europe/Berlin"}, BadInput, "past"),
        ({"at": "2026-12-01 14:00 Europe/Berlim"}, BadInput, "no time zone"),
        ({"at": "2026-12-01 14:00"}, BadInput, "time zone"),
        ({"at": "soon"}, BadInput, "cannot be read"),
        ({"zone": "Mars/Olympus", "at": "2026-12-01 14:00"}, BadInput, "no time zone"),
        ({"artifact": "0000"}, BadInput, "There is no artifact"),
        ({"artifact": "sha256:"}, BadInput, "There is no artifact"),
        ({"artifact": "'; DROP TABLE releases; --"}, BadInput, "There is no artifact"),
        ({"tier": "integration"}, BadInput, "Nothing is released to"),
        ({"window": "soon"}, BadInput, "must be a duration"),
        ({"window": "999999999d"}, BadInput, "between a minute and 31 days"),
        ({"window": "0"}, BadInput, "between a minute and 31 days"),
        ({"late": "never"}, BadInput, "no policy"),
        ({"tier": "production"}, Refused, "nothing is deployed on store/staging"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_scheduled(shop, clock, asked, error, said):
    with pytest.raises(error, match=said):
        create(shop, **asked)
    with shop.opened() as platform:
        assert platform.store.releases.list() == []


def test_an_artifact_that_is_gone_is_not_released(deployed):
    with deployed.opened() as platform:
        digest = platform.current(environment_at(platform, "store/master")).digest
        platform.artifacts.remove(digest)
    with pytest.raises(Refused, match="not in the store") as refused:
        create(deployed)
    assert refused.value.number == 247


def test_an_artifact_that_never_ran_on_the_source_is_not_released(deployed):
    deployed.commit(application(3, kind="none"))
    deployed.push()
    deployed.run("build_artifact", project="store", ref="master")
    with deployed.opened() as platform:
        ran = platform.current(environment_at(platform, "store/master")).digest
        (built,) = {each.digest for each in platform.store.artifacts.all()} - {ran}
    with pytest.raises(Refused, match="never ran on store/master"):
        create(deployed, artifact=built)


def test_a_dry_run_says_what_would_be_created_and_creates_nothing(shop, clock):
    preview = create(shop, dry_run=True)
    assert dict(preview.facts)["due"] == "Tue 2026-11-24 14:00 CET (2026-11-24 13:00 UTC)"
    assert dict(preview.facts)["approvals needed"] == "0"
    with shop.opened() as platform:
        assert platform.store.releases.list() == []


def test_moved_it_keeps_its_window_and_is_a_new_revision(deployed, clock):
    release = create(deployed, window="20m")
    with deployed.opened() as platform:
        moved = creating.move_release(platform, platform.store.releases.get(release.id), "tomorrow 9:30")
    assert (moved.zone, moved.revision) == ("Europe/Berlin", 2)
    assert moved.due_at == datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    assert moved.latest_start_at - moved.due_at == 20 * MINUTE
    clock.now = DUE
    assert run(deployed) == []
