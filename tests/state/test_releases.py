"""A release is a row: claimed once, in its environment's order, and what becomes of it is announced with it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from branchline.domain.release import NewRelease
from branchline.errors import BadInput, Refused
from branchline.state.leases import LostLease
from tests.operations.bench import bench, request

DUE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def made(tmp_path):
    with bench(tmp_path) as one:
        yield one


@pytest.fixture
def releases(made):
    return made.store.releases


def new(made, **other):
    environment = made.store.environments.get("store", "master")
    asked = NewRelease(
        kind="sync",
        environment_id=environment.id,
        source_id=None,
        digest=None,
        commit=None,
        due_at=DUE,
        zone="Europe/Berlin",
        latest_start_at=DUE + 15 * MINUTE,
        late="ask",
        author="ann",
    )
    return replace(asked, **other)


def events(made):
    return [each.news.event.removeprefix("branchline.release.") for each in made.store.announcements.unsent()]


def ids(found):
    return [each.id for each in found]


def claimed(made, release, now=DUE, **how):
    with made.operations.run(request(kind="test")) as live:
        return made.store.releases.claim(live.grip, release.id, now, **how)


def test_a_release_is_what_was_asked_for_and_is_announced(made, releases):
    release = releases.create(new(made), DUE - MINUTE, approvals=2)
    assert (release.state, release.revision, release.environment) == ("scheduled", 1, "store/master")
    assert releases.get(release.id[:6]) == release
    assert events(made) == ["approval-needed", "scheduled"]
    announced = made.store.announcements.unsent()[0].news
    assert announced.subject == "store/master"
    assert (announced.payload["release"], announced.payload["needed"]) == (release.id, 2)
    assert announced.payload["due"] == "2026-11-23 13:00 Europe/Berlin"


def test_an_unknown_or_ambiguous_beginning_is_refused(made, releases):
    releases.create(new(made), DUE)
    releases.create(new(made), DUE)
    for beginning in ("r-", "r-nothing", "", "%", "_"):
        with pytest.raises(BadInput) as refused:
            releases.get(beginning)
        assert refused.value.number == 240


def test_due_are_those_whose_time_has_come_in_order_of_time_then_of_age(made, releases):
    second = releases.create(new(made), DUE)
    third = releases.create(new(made), DUE)
    first = releases.create(new(made, due_at=DUE - MINUTE), DUE)
    releases.create(new(made, due_at=DUE + MINUTE), DUE)
    held = releases.create(new(made, due_at=DUE - 2 * MINUTE), DUE)
    releases.hold(held.id, "bob", "not today", DUE)
    assert ids(releases.due(DUE)) == ids([first, second, third])
    environment = made.store.environments.get("store", "master")
    assert ids(releases.due(DUE, environment)) == ids([first, second, third])


def test_it_is_claimed_once(made, releases):
    release = releases.create(new(made), DUE)
    with made.operations.run(request(kind="test")) as live:
        assert releases.claim(live.grip, release.id, DUE)
        assert not releases.claim(live.grip, release.id, DUE)
        running = releases.get(release.id)
        assert (running.state, running.activity_id) == ("running", live.id)


@pytest.mark.parametrize("by_hand", [False, True])
def test_one_that_is_held_is_not_claimed(made, releases, by_hand):
    release = releases.create(new(made), DUE)
    releases.hold(release.id, "bob", "not today", DUE)
    assert not claimed(made, release, by_hand=by_hand)
    releases.resume(release.id, "bob", DUE)
    assert claimed(made, release, by_hand=by_hand)


def test_before_its_time_only_a_person_claims_it(made, releases):
    release = releases.create(new(made), DUE - MINUTE)
    assert not claimed(made, release, DUE - MINUTE)
    assert claimed(made, release, DUE - MINUTE, by_hand=True)


def test_it_waits_for_its_turn_unless_a_person_runs_it(made, releases):
    first, second = (releases.create(new(made), DUE) for _ in range(2))
    assert not claimed(made, second)
    assert claimed(made, first)
    assert not claimed(made, second), "the first is running"
    with made.operations.run(request(kind="test")) as live:
        assert releases.claim(live.grip, second.id, DUE, by_hand=True)


def test_one_that_waits_for_a_person_holds_up_no_other(made, releases):
    held, asking, third = (releases.create(new(made), DUE) for _ in range(3))
    releases.hold(held.id, "bob", "not today", DUE)
    with made.operations.run(request(kind="test")) as live:
        assert releases.claim(live.grip, asking.id, DUE)
        releases.end(live.grip, asking.id, "asking", "cancelled", DUE)
    assert claimed(made, third)


def test_a_process_that_lost_its_lease_claims_and_ends_nothing(made, releases):
    release = releases.create(new(made), DUE)
    with pytest.raises(LostLease), made.operations.run(request(kind="test")) as live:
        releases.claim(live.grip, release.id, DUE)
        made.store.leases.take_over(
            made.store.leases.held(live.id), made.operations.processes.this(), DUE, 60
        )
        for attempt in (
            lambda: releases.end(live.grip, release.id, "failed", "late", DUE),
            lambda: releases.settle(live.grip, release.id, DUE),
        ):
            with pytest.raises(LostLease):
                attempt()
        releases.claim(live.grip, release.id, DUE)
    assert releases.get(release.id).state == "running"


def test_settled_before_the_switch_it_is_scheduled_as_before(made, releases):
    release = releases.create(new(made), DUE)
    with made.operations.run(request(kind="test")) as live:
        releases.claim(live.grip, release.id, DUE)
        releases.settle(live.grip, release.id, DUE)
    again = releases.get(release.id)
    assert (again.state, again.activity_id, again.revision) == ("scheduled", None, 1)
    assert live.id in again.reason
    assert claimed(made, release)


def test_behind_the_switch_it_is_done_whatever_came_after(made, releases):
    release = releases.create(new(made), DUE)
    with made.operations.run(request(kind="test")) as live:
        releases.claim(live.grip, release.id, DUE)
        made.commit(live)
        releases.end(live.grip, release.id, "failed", "cancelled while it was finished", DUE)
        releases.settle(live.grip, release.id, DUE)
    assert releases.get(release.id).state == "done"
    assert events(made) == ["scheduled", "due", "done"]


def test_of_another_operation_nothing_is_settled(made, releases):
    release = releases.create(new(made), DUE)
    with made.operations.run(request(kind="test")) as live:
        releases.claim(live.grip, release.id, DUE)
    with made.operations.run(request(kind="test")) as other:
        releases.settle(other.grip, release.id, DUE)
        releases.end(other.grip, release.id, "failed", "x", DUE)
    assert releases.get(release.id).state == "running"


def test_what_failed_has_its_reason_and_its_end(made, releases):
    release = releases.create(new(made), DUE)
    with made.operations.run(request(kind="test")) as live:
        releases.claim(live.grip, release.id, DUE)
        releases.end(live.grip, release.id, "failed", "not healthy", DUE)
        releases.settle(live.grip, release.id, DUE)
    failed = releases.get(release.id)
    assert (failed.state, failed.reason, failed.ended_at) == ("failed", "not healthy", DUE)
    assert events(made) == ["scheduled", "due", "failed"]
    assert made.store.announcements.unsent()[-1].news.payload["activity"] == live.id


def test_a_change_is_a_new_revision_and_asks_for_approvals_again(made, releases):
    release = releases.create(new(made), DUE)
    later = releases.change(
        release.id,
        due_at=DUE + 60 * MINUTE,
        zone="Asia/Kolkata",
        latest_start_at=DUE + 75 * MINUTE,
        now=DUE,
        approvals=1,
    )
    assert (later.revision, later.due_at, later.zone) == (2, DUE + 60 * MINUTE, "Asia/Kolkata")
    assert (later.late, later.id, later.seq) == (release.late, release.id, release.seq)
    assert events(made)[1:] == ["approval-needed", "scheduled"]


@pytest.mark.parametrize(
    ("late", "state", "ended"),
    [("run", "scheduled", False), ("skip", "missed", True), ("ask", "asking", False)],
)
def test_a_missed_one_is_reported_once_and_is_what_its_policy_says(made, releases, late, state, ended):
    release = releases.create(new(made, late=late), DUE)
    assert releases.miss(release.id, DUE + 15 * MINUTE).missed_at is None, "it may start at its latest start"
    now = DUE + 16 * MINUTE
    for _ in range(2):
        missed = releases.miss(release.id, now)
        assert (missed.state, missed.missed_at, missed.ended_at is not None) == (state, now, ended)
    assert events(made) == ["scheduled", "missed"]


def test_one_that_a_person_holds_is_not_missed(made, releases):
    release = releases.create(new(made), DUE)
    releases.hold(release.id, "bob", "not today", DUE)
    assert releases.miss(release.id, DUE + 16 * MINUTE).missed_at is None


def test_a_person_answers_one_that_asks(made, releases):
    def asking():
        return releases.miss(releases.create(new(made), DUE).id, DUE + 16 * MINUTE)

    assert not claimed(made, asking())
    assert claimed(made, asking(), by_hand=True)
    moved = releases.change(
        asking().id, due_at=DUE + 20 * MINUTE, zone="UTC", latest_start_at=DUE + 30 * MINUTE, now=DUE
    )
    assert (moved.state, moved.missed_at, moved.reason) == ("scheduled", None, None)
    assert releases.cancel(asking().id, "bob", "too late", DUE).reason == "cancelled by bob: too late"


def test_what_has_ended_or_runs_is_not_changed_any_more(made, releases):
    release = releases.create(new(made), DUE)
    releases.cancel(release.id, "bob", "a mistake", DUE)
    for attempt in (
        lambda: releases.change(release.id, due_at=DUE, zone="UTC", latest_start_at=DUE, now=DUE),
        lambda: releases.hold(release.id, "bob", "x", DUE),
        lambda: releases.resume(release.id, "bob", DUE),
        lambda: releases.cancel(release.id, "bob", "x", DUE),
    ):
        with pytest.raises(Refused) as refused:
            attempt()
        assert refused.value.number == 241
    assert not claimed(made, release, by_hand=True)
    assert events(made) == ["scheduled", "cancelled"]


def test_open_ones_are_listed_by_time_then_those_that_ended_the_newest_first(made, releases):
    later, sooner, gone, newest = (
        releases.create(new(made, due_at=DUE + minutes * MINUTE), DUE) for minutes in (9, 3, 1, 2)
    )
    releases.cancel(gone.id, "bob", "x", DUE)
    releases.cancel(newest.id, "bob", "x", DUE + MINUTE)
    assert ids(releases.list()) == ids([sooner, later, newest, gone])
    assert ids(releases.list("store", "master", ["scheduled"], 1)) == [sooner.id]
    assert ids(releases.list("other")) == []
    assert ids(releases.scheduled()) == ids([sooner, later])
