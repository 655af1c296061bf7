"""Release trains and scheduled syncs, with the clock in the test's hand."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import branchline.cli
from branchline.errors import BadInput, BranchlineError, Failed, Refused, Unavailable
from branchline.steps import timetables
from branchline.steps.promote import environment_at
from branchline.steps.timetables import (
    MOST_MISSED,
    create_sync,
    create_train,
    hold,
    remove,
    resume,
    unroll,
    view,
)
from tests.workshop.application import application
from tests.workshop.home import Home

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
DAILY = "every day 14:00 Europe/Berlin"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Version 1 runs on master."""
    made = Home(tmp_path_factory.mktemp("timetables") / "branchline").make()
    made.commit(application(1))
    made.init()
    made.run("deploy_environment", environment="store/master")
    yield made
    made.remove()


@pytest.fixture
def platform(made):
    """Nothing comes again in it, but what a test makes."""
    with made.opened() as platform:
        yield platform
        for each in platform.store.timetables.list():
            platform.store.timetables.remove(each.id, MONDAY)


def at(platform, moment):
    return replace(platform, clock=lambda: moment if isinstance(moment, datetime) else utc(moment))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def train(platform, calendar=DAILY, tier="staging", **options):
    return create_train(platform, "store", tier, calendar, "cat", **options)


def rows(platform, timetable):
    found = [each for each in platform.store.releases.list() if each.timetable_id == timetable.id]
    return sorted(found, key=lambda each: each.due_at)


def told(platform, release):
    return [
        each.news.event.rpartition(".")[2]
        for each in platform.store.announcements.unsent(100_000)
        if each.news.payload.get("release") == release.id
    ]


def test_at_cut_off_what_is_healthy_on_the_source_is_pinned_and_not_before(platform):
    one = train(at(platform, MONDAY), cutoff="1h", window="20m", late="skip")
    assert unroll(at(platform, "2026-11-23 11:59:59")) == []
    (release,) = unroll(at(platform, "2026-11-23 12:00"))
    running = platform.current(environment_at(platform, "store/master"))
    assert (release.digest, release.commit) == (running.digest, running.commit)
    assert (release.due_at, release.zone) == (utc("2026-11-23 13:00"), "Europe/Berlin")
    assert release.latest_start_at == utc("2026-11-23 13:20")
    assert (release.state, release.late, release.author, release.kind) == (
        "scheduled",
        "skip",
        "cat",
        "promotion",
    )
    assert (release.source, release.environment) == ("store/master", "store/staging")
    assert unroll(at(platform, "2026-11-24 11:59")) == []
    assert [each.due_at for each in unroll(at(platform, "2026-11-24 12:00"))] == [utc("2026-11-24 13:00")]
    assert len(rows(platform, one)) == 2


def test_several_a_day_become_one_release_each(platform):
    one = train(at(platform, MONDAY), "every weekday 10:00, 14:00, 18:30 Europe/Berlin", cutoff="15m")
    for minutes in range(0, 26 * 60, 15):
        unroll(at(platform, MONDAY + timedelta(minutes=minutes)))
    assert [f"{each.due_at:%d %H:%M}" for each in rows(platform, one)] == [
        "23 09:00",
        "23 13:00",
        "23 17:30",
        "24 09:00",
    ]


@pytest.mark.parametrize(
    ("zone", "clock", "noon_before", "due"),
    [
        ("Europe/Berlin", "02:30", "2027-03-27 12:00", ["2027-03-28 01:30", "2027-03-29 00:30"]),
        ("Europe/Berlin", "02:30", "2026-10-24 12:00", ["2026-10-25 00:30", "2026-10-26 01:30"]),
        ("Europe/Berlin", "14:00", "2027-03-27 14:00", ["2027-03-28 12:00", "2027-03-29 12:00"]),
        ("America/New_York", "01:30", "2026-10-31 12:00", ["2026-11-01 05:30", "2026-11-02 06:30"]),
        ("Australia/Lord_Howe", "02:15", "2026-10-03 12:00", ["2026-10-03 15:45", "2026-10-04 15:15"]),
        ("Asia/Kolkata", "02:30", "2027-03-27 12:00", ["2027-03-27 21:00", "2027-03-28 21:00"]),
    ],
)
def test_a_train_runs_once_a_day_over_a_change_of_the_clocks(platform, zone, clock, noon_before, due):
    start = utc(noon_before)
    one = train(at(platform, start), f"every day {clock} {zone}", cutoff="30m", window="1d")
    for minutes in range(0, 48 * 60, 30):
        unroll(at(platform, start + timedelta(minutes=minutes)))
    assert [f"{each.due_at:%Y-%m-%d %H:%M}" for each in rows(platform, one)][:2] == due
    assert len(rows(platform, one)) == 2


def test_where_nothing_is_healthy_at_cut_off_there_is_a_skipped_release_that_says_so(platform):
    one = train(at(platform, MONDAY), tier="production")
    (release,) = unroll(at(platform, "2026-11-23 12:00"))
    assert (release.state, release.digest) == ("skipped", None)
    assert "nothing is deployed on store/staging" in release.reason
    assert release.ended_at == utc("2026-11-23 12:00")
    assert told(platform, release) == ["skipped"]
    assert rows(platform, one) == [release]


def test_where_the_target_runs_it_already_there_is_a_skipped_release_that_says_so(platform, monkeypatch):
    monkeypatch.setattr(timetables, "already_runs", lambda *_: "store/staging runs it already")
    train(at(platform, MONDAY))
    (release,) = unroll(at(platform, "2026-11-23 12:00"))
    assert (release.state, release.reason) == ("skipped", "store/staging runs it already")
    assert release.digest is not None


def test_approvals_are_asked_for_when_the_train_is_filled(platform):
    pro = platform.plans["pro"]
    rules = pro.rules("staging")
    asking = replace(rules, approvals=replace(rules.approvals, count=2))
    stricter = replace(platform, plans={"pro": replace(pro, tiers={**pro.tiers, "staging": asking})})
    train(at(stricter, MONDAY))
    (release,) = unroll(at(stricter, "2026-11-23 12:00"))
    assert told(platform, release) == ["approval-needed", "scheduled"]


@pytest.mark.parametrize(("late", "state"), [("run", "scheduled"), ("skip", "missed"), ("ask", "asking")])
def test_of_the_times_missed_in_an_outage_the_last_is_what_its_policy_says_and_all_are_told(
    platform, late, state
):
    one = train(at(platform, MONDAY), late=late)
    made = unroll(at(platform, "2026-11-26 14:00"))
    assert [each.state for each in made] == ["missed", "missed", "missed", state]
    assert made == rows(platform, one)
    last = made[-1]
    assert told(platform, last) == ["scheduled", "missed"]
    assert last.missed_at == utc("2026-11-26 14:00")
    for each in made[:-1]:
        assert told(platform, each) == ["superseded"]
        assert "so did the one due Thu 2026-11-26 14:00 CET" in each.reason
    assert unroll(at(platform, "2026-11-26 14:00")) == []


def test_a_time_that_can_still_start_is_not_missed(platform):
    train(at(platform, MONDAY), window="15m")
    (release,) = unroll(at(platform, "2026-11-23 13:15"))
    assert (release.state, told(platform, release)) == ("scheduled", ["scheduled"])


def test_of_a_long_outage_the_newest_times_get_a_release_and_the_others_are_counted(platform):
    one = train(at(platform, MONDAY), "every hour UTC", cutoff="0", window="5m")
    made = unroll(at(platform, MONDAY + timedelta(days=10, minutes=30)))
    assert len(made) == len(rows(platform, one)) == MOST_MISSED
    assert made[-1].due_at == MONDAY + timedelta(days=10)
    assert made[0].reason.endswith(f"; so did {240 - MOST_MISSED} before it, which have no release")
    assert "before it" not in made[1].reason
    assert unroll(at(platform, MONDAY + timedelta(days=10, minutes=31))) == []


def test_cut_short_between_two_rows_it_goes_on_and_makes_none_twice(platform, monkeypatch):
    one = train(at(platform, MONDAY), "every hour UTC", cutoff="3h")
    until = at(platform, MONDAY + timedelta(minutes=30))
    store = type(platform.store.timetables)
    real, calls = store.made, []

    def cut_short(self, timetable_id, due):
        calls.append(due)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, timetable_id, due)

    monkeypatch.setattr(store, "made", cut_short)
    with suppress(KeyboardInterrupt):
        unroll(until)
    assert len(rows(platform, one)) == 2
    monkeypatch.setattr(store, "made", real)
    before = rows(platform, one)
    again = unroll(until)
    assert [each.id for each in again][:1] == [before[1].id]
    assert [each.due_at.hour for each in rows(platform, one)] == [9, 10, 11]
    assert told(platform, before[1]) == ["scheduled"]


def test_two_that_unroll_at_once_make_one_release_for_each_time(platform, monkeypatch):
    one = train(at(platform, MONDAY))
    now = at(platform, "2026-11-23 12:00")
    stale = platform.store.timetables.list()
    unroll(now)
    monkeypatch.setattr(type(platform.store.timetables), "list", lambda *_: stale)
    (again,) = unroll(now)
    assert rows(platform, one) == [again]


def test_a_hold_survives_a_restart_and_what_came_meanwhile_is_not_missed(made, platform):
    one = train(at(platform, MONDAY))
    held = hold(platform, one, "cat", "inventory")
    assert (view(platform, held).held, view(platform, held).next) == ("by cat: inventory", ())
    with made.opened() as restarted:
        assert unroll(at(restarted, "2026-11-25 14:00")) == []
        again = restarted.store.timetables.get(one.id, "promotion")
        assert (again.held_by, again.held_reason) == ("cat", "inventory")
        resumed = resume(at(restarted, "2026-11-25 14:00"), again)
        assert resumed.held_by is None
        (release,) = unroll(at(restarted, "2026-11-26 12:00"))
    assert release.due_at == utc("2026-11-26 13:00")
    assert rows(platform, one) == [release]


def test_one_that_was_removed_comes_no_more_and_its_releases_stay(platform):
    one = train(at(platform, MONDAY))
    (release,) = unroll(at(platform, "2026-11-23 12:00"))
    remove(platform, one)
    assert unroll(at(platform, "2026-11-30 12:00")) == []
    assert rows(platform, one) == [release]
    with pytest.raises(BadInput) as refused:
        platform.store.timetables.get(one.id, "promotion")
    assert refused.value.number == 120


def test_a_scheduled_sync_pins_nothing_and_is_known_an_hour_before(platform):
    one = create_sync(at(platform, MONDAY), "store/master", "every day 02:00 UTC", "cat")
    assert unroll(at(platform, "2026-11-24 00:59")) == []
    (release,) = unroll(at(platform, "2026-11-24 01:00"))
    assert (release.kind, release.state, release.digest, release.late) == ("sync", "scheduled", None, "skip")
    assert (release.source, release.environment) == ("store/production", "store/master")
    assert release.latest_start_at == utc("2026-11-24 06:00")
    assert rows(platform, one) == [release]


def test_one_that_is_broken_does_not_hold_up_the_others_and_is_told(platform, monkeypatch):
    train(at(platform, MONDAY), "every day 13:00 Europe/Berlin")
    train(at(platform, MONDAY + timedelta(seconds=1)))
    real = timetables.pin
    failures = [Unavailable(399, "the artifact store does not answer.")]
    monkeypatch.setattr(
        timetables, "pin", lambda *asked: _raise(failures.pop()) if failures else real(*asked)
    )
    with pytest.raises(Unavailable, match="does not answer"):
        unroll(at(platform, "2026-11-23 12:00"))
    assert len([each for each in platform.store.releases.list() if each.state == "scheduled"]) >= 1
    made = unroll(at(platform, "2026-11-23 12:00"))
    assert [(each.due_at, each.state) for each in made] == [(utc("2026-11-23 12:00"), "scheduled")]


def _raise(error: BranchlineError):
    raise error


def test_an_artifact_that_is_damaged_is_not_released(platform, monkeypatch):
    train(at(platform, MONDAY))

    def damaged(_digest):
        raise Failed(411, "A byte differs.")

    monkeypatch.setattr(platform.artifacts, "verify", damaged)
    (release,) = unroll(at(platform, "2026-11-23 12:00"))
    assert release.state == "skipped"
    assert "A byte differs." in release.reason


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"calendar": "every blue moon"}, 114),
        ({"calendar": "every day 14:00"}, 115),
        ({"calendar": "every day 14:00 Mars/Base"}, 116),
        ({"calendar": "RRULE:FREQ=WHENEVER UTC"}, 117),
        ({"calendar": "RRULE:FREQ=DAILY;UNTIL=20250101 UTC"}, 124),
        ({"calendar": "'; DROP TABLE timetables; --"}, 114),
        ({"tier": "integration"}, 123),
        ({"cutoff": "soon"}, 121),
        ({"cutoff": "32d"}, 121),
        ({"window": "-1m"}, 121),
        ({"window": "30s"}, 121),
        ({"late": "maybe"}, 122),
        ({"source": "nowhere"}, 333),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_made(platform, changed, number):
    with pytest.raises(BadInput) as refused:
        train(at(platform, MONDAY), **changed)
    assert refused.value.number == number
    assert platform.store.timetables.list() == []


def test_production_is_never_refreshed(platform):
    with pytest.raises(Refused):
        create_sync(at(platform, MONDAY), "store/production", "every day 02:00 UTC", "cat")


def test_a_hold_needs_a_reason(platform):
    with pytest.raises(BadInput) as refused:
        hold(platform, train(platform), "cat", "  ")
    assert refused.value.number == 256


def test_its_next_times_are_shown_in_its_zone(platform):
    one = view(at(platform, MONDAY), train(at(platform, MONDAY)))
    assert one.next == tuple(
        f"{day} 14:00 CET" for day in ("Mon 2026-11-23", "Tue 2026-11-24", "Wed 2026-11-25")
    )
    assert one.path == "store/master -> store/staging"


def test_the_commands(platform, capsys):
    def run(*words, code=0):
        assert branchline.cli.run(words) == code, capsys.readouterr().err
        return capsys.readouterr()

    created = json.loads(
        run(
            "train", "create", "store", "staging", "--calendar", "first Tuesday 22:00 Europe/Berlin", "--json"
        )[0]
    )
    assert all("22:00" in each and each.startswith("Tue") for each in created["next"])
    out, _ = run("train", "list")
    assert created["id"] in out
    out, _ = run("train", "hold", created["id"][:5], "--reason", "inventory")
    assert "inventory" in out
    assert "next" in run("train", "resume", created["id"])[0]
    assert "B120" in run("sync-schedule", "remove", created["id"], code=2)[1]
    assert "comes no more" in run("train", "remove", created["id"])[0]
    nightly = ("sync-schedule", "create", "store/master", "--calendar", "every day 2:00", "--zone")
    assert "B116" in run(*nightly, "Mars", code=2)[1]
    assert "02:00 UTC" in run(*nightly, "UTC")[0]
    assert json.loads(run("sync-schedule", "list", "--json")[0])[0]["late"] == "skip"
