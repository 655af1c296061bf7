"""News are written with what makes them true, and kept until every channel has them."""

from datetime import timedelta

import pytest

from branchline.errors import Refused
from tests.operations.bench import bench, request

COMMIT = "c" * 40


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with bench(tmp_path, url) as one:
        yield one


def told(made):
    return [(each.news.event, each.news.subject) for each in made.store.announcements.unsent()]


def test_an_end_is_announced_with_its_reason_and_what_is_known_of_it(made):
    with pytest.raises(ValueError, match="broken"), made.operations.run(request()) as live:
        made.store.activities.deploys(live.grip, COMMIT, made.now)
        raise ValueError("broken")
    started, failed = made.store.announcements.unsent()
    assert started.news.event == "branchline.deployment.started"
    assert failed.news.event == "branchline.deployment.failed"
    assert failed.news.subject == "store/master"
    for each in (started, failed):
        assert (each.news.payload["activity"], each.news.payload["commit"]) == (live.id, COMMIT)
        assert (each.news.payload["actor"], each.news.payload["branch"]) == ("ann", "master")
    assert failed.news.payload["reason"] == "nothing changed: ValueError: broken"


def test_what_a_hook_said_of_a_secret_is_not_announced(tmp_path):
    with bench(tmp_path, secrets_of=lambda _project: ["hunter22"]) as made:
        with pytest.raises(ValueError, match=r"\[hidden\]"), made.operations.run(request()) as live:  # noqa: SIM117
            with live.step("a step"):
                raise ValueError("password is hunter22")
        (failed,) = made.store.announcements.unsent()
    assert "hunter22" not in str(failed.news)


def test_an_end_that_another_process_gives_it_is_announced_once(made):
    made.operations._begin(request())
    made.process_ended()
    made.operations.recover()
    made.operations.recover()
    assert told(made) == [("branchline.deployment.failed", "store/master")]


@pytest.mark.parametrize("kind", ["build", "test"])
def test_kinds_that_nobody_waits_for_are_not_announced(made, kind):
    with made.operations.run(request(kind=kind)) as live:
        made.store.activities.deploys(live.grip, COMMIT, made.now)
    assert told(made) == []


def test_an_announcement_is_due_at_once_and_after_a_failed_try_when_its_time_has_come(made):
    with made.operations.run(request()):
        pass
    announcements, now = made.store.announcements, made.now
    (one,) = announcements.due(now)
    announcements.told(one.id, "event")
    announcements.tried(one.id, now + timedelta(seconds=5), "commit status: no answer")
    assert announcements.due(now + timedelta(seconds=4)) == ()
    (again,) = announcements.due(now + timedelta(seconds=5))
    assert (again.attempts, again.told, again.note) == (1, ("event",), "commit status: no answer")
    announcements.close(one.id, now)
    assert announcements.unsent() == ()


def test_old_announcements_are_forgotten(made):
    with made.operations.run(request()):
        pass
    assert made.store.announcements.forget(made.now) == 0
    assert made.store.announcements.forget(made.now + timedelta(days=1)) == 1


def test_what_was_asked_for_with_a_key_and_is_done_is_not_begun_again(made):
    with made.operations.run(request(request_key="k")) as live:
        assert made.store.activities.asked("k").id == live.id
    with pytest.raises(Refused, match=live.id) as refused, made.operations.run(request(request_key="k")):
        raise AssertionError
    assert refused.value.number == 287
    with made.operations.run(request(request_key="other")):
        pass


def test_what_failed_is_begun_again_with_the_same_key(made):
    with pytest.raises(ValueError, match="broken"), made.operations.run(request(request_key="k")):
        raise ValueError("broken")
    assert made.store.activities.asked("k") is None
    with made.operations.run(request(request_key="k")) as again:
        pass
    assert made.store.activities.asked("k").id == again.id
