"""What the rows of people, approvals and timetables promise, on every engine that keeps them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from branchline.domain.release import Approval, NewRelease, NewTimetable, Release
from branchline.errors import BadInput, Refused
from branchline.state.store import Store, open_store

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINtiPgPdrU1H/8A5bE4jxdZ67IyGs5FfObEY2ArN+KWP"


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/state.db" if sqlite else request.getfixturevalue("postgres_url")
    made = open_store(url, tmp_path / "key")
    project = made.environments.add_project("store", "pro", NOW)
    for name in ("master", "staging"):
        made.environments.add(project, name, name, "staging", "active", NOW)
    yield made
    made.database.close()


def a_release(store: Store, **changed: object) -> NewRelease:
    target, source = (store.environments.get("store", each).id for each in ("staging", "master"))
    asked = {
        "kind": "promotion",
        "environment_id": target,
        "source_id": source,
        "digest": None,
        "commit": None,
        "due_at": NOW,
        "zone": "UTC",
        "latest_start_at": NOW,
        "late": "ask",
        "author": "cat",
    }
    return NewRelease(**{**asked, **changed})  # type: ignore[arg-type]


def train(store: Store) -> str:
    target, source = (store.environments.get("store", each).id for each in ("staging", "master"))
    new = NewTimetable("promotion", target, source, "every day 14:00 UTC", 3600, 900, "ask", "cat")
    return store.timetables.create(new, NOW).id


def said(release: Release, person: str, comment: str = "") -> Approval:
    return Approval(release.id, release.revision, "approve", person, comment, None, None, "ui", NOW)


def test_people_are_found_whatever_the_case_of_their_names(store: Store) -> None:
    store.people.add_key("Ann", KEY, "SHA256:a", NOW)
    store.people.add_key("ann", f"{KEY}2", "SHA256:b", NOW)
    (ann,) = store.people.all()
    assert ann.name == "Ann"
    assert [each.fingerprint for each in ann.keys] == ["SHA256:a", "SHA256:b"]
    assert store.people.find("ANN") == ann
    assert store.people.find("an_") is None
    assert store.people.find("%") is None


def test_a_key_is_one_persons_and_revoked_for_good(store: Store) -> None:
    store.people.add_key("ann", KEY, "SHA256:a", NOW)
    with pytest.raises(Refused, match="key of ann"):
        store.people.add_key("bob", KEY, "SHA256:a", NOW)
    assert store.people.find("bob") is None
    store.people.revoke("ANN", "SHA256:a", NOW)
    again = store.people.revoke("ann", "SHA256:a", NOW + timedelta(days=1))
    assert (again.valid_keys, again.keys[0].revoked_at) == ((), NOW)
    with pytest.raises(Refused, match="revoked"):
        store.people.add_key("ann", KEY, "SHA256:a", NOW)
    with pytest.raises(BadInput, match="there are: ann"):
        store.people.revoke("bob", "SHA256:a", NOW)


def test_of_many_that_register_one_key_at_once_one_has_it(store: Store) -> None:
    def add(number: int) -> str:
        try:
            return store.people.add_key(f"person-{number}", KEY, "SHA256:a", NOW).name
        except Refused:
            return ""

    with ThreadPoolExecutor(8) as pool:
        owners = [name for name in pool.map(add, range(16)) if name]
    assert len(owners) == 1
    assert [each.name for each in store.people.all()] == owners


def test_approvals_are_about_a_revision_and_come_in_order(store: Store) -> None:
    release = store.releases.create(a_release(store), NOW)
    for person in ("ann", "bob", "ann"):
        store.approvals.add(said(release, person, f"<b>'; -- {person}"), release)
    assert [each.person for each in store.approvals.of(release.id)] == ["ann", "bob", "ann"]
    assert store.approvals.of(release.id)[0] == said(release, "ann", "<b>'; -- ann")
    later = NOW + timedelta(hours=1)
    store.releases.change(release.id, due_at=later, zone="UTC", latest_start_at=later, now=NOW)
    with pytest.raises(Refused, match="was changed just now"):
        store.approvals.add(said(release, "bob"), release)
    store.releases.cancel(release.id, "cat", "no", NOW)
    with pytest.raises(Refused, match="is cancelled"):
        store.approvals.add(said(release, "bob"), release)
    assert len(store.approvals.of(release.id)) == 3


def test_one_time_of_a_timetable_has_one_release_whoever_makes_it_at_once(store: Store) -> None:
    timetable = train(store)
    new = a_release(store, timetable_id=timetable)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.releases.create(new, NOW).id, range(16)))
    assert len(set(made)) == len(store.releases.list()) == 1
    other = store.releases.create(a_release(store, timetable_id=train(store)), NOW)
    assert other.id not in made


def test_a_timetable_is_held_resumed_and_removed(store: Store) -> None:
    timetable = train(store)
    assert store.timetables.get(timetable[:4], "promotion").made_until == NOW
    held = store.timetables.hold(timetable, "cat", "inventory")
    assert (held.held_by, held.held_reason, held.made_until) == ("cat", "inventory", NOW)
    later = NOW + timedelta(days=3)
    resumed = store.timetables.resume(timetable, later)
    assert (resumed.held_by, resumed.made_until) == (None, later)
    store.timetables.made(timetable, NOW)
    assert store.timetables.resume(timetable, later + timedelta(days=1)).made_until == later
    for unknown in ("", "%", "t-_", "r-1"):
        with pytest.raises(BadInput):
            store.timetables.get(unknown, "promotion")
    with pytest.raises(BadInput):
        store.timetables.get(timetable, "sync")
    store.timetables.remove(timetable, later)
    assert store.timetables.list() == []


def test_what_never_was_open_is_told_as_what_it_is(store: Store) -> None:
    store.releases.create(a_release(store), NOW, ended="skipped", reason="nothing to do")
    store.releases.create(a_release(store), NOW, ended="missed", reason="a later one was missed too")
    found = store.releases.list()
    assert sorted((each.state, each.reason, each.ended_at) for each in found) == [
        ("missed", "a later one was missed too", NOW),
        ("skipped", "nothing to do", NOW),
    ]
    events = [each.news.event for each in store.announcements.unsent()]
    assert events == ["branchline.release.skipped", "branchline.release.superseded"]
