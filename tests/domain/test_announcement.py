from datetime import UTC, datetime, timedelta

import pytest

from branchline.domain.announcement import (
    MOST_ATTEMPTS,
    CommitStatus,
    News,
    began,
    ended,
    message,
    next_try,
    occasion,
    status_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
COMMIT = "c" * 40


def news(event, **payload):
    return News(f"branchline.{event}", "store/production", payload)


@pytest.mark.parametrize(
    ("kind", "result", "cancelled", "event"),
    [
        ("deploy", "success", False, "branchline.deployment.succeeded"),
        ("promote", "failure", False, "branchline.deployment.failed"),
        ("rollback", "failure", True, "branchline.deployment.cancelled"),
        ("release", "refused", False, "branchline.deployment.refused"),
        ("deploy", "skipped", False, "branchline.deployment.skipped"),
        ("sync", "success", False, "branchline.sync.finished"),
        ("sync", "failure", False, "branchline.sync.failed"),
        ("deactivate", "success", False, "branchline.deactivation.finished"),
        ("build", "success", False, None),
        ("test", "failure", True, None),
    ],
)
def test_each_end_of_each_kind_has_its_event(kind, result, cancelled, event):
    assert ended(kind, result, cancelled=cancelled) == event


def test_only_deployments_are_told_of_when_their_commit_is_known():
    assert began("promote") == "branchline.deployment.started"
    assert began("sync") is None


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("deployment.succeeded", {}, "success"),
        ("sync.finished", {}, "success"),
        ("deployment.failed", {}, "failure"),
        ("deployment.refused", {}, "failure"),
        ("sync.cancelled", {}, "failure"),
        ("deployment.started", {}, None),
        ("deployment.skipped", {}, None),
        ("release.approval-needed", {}, "approval"),
        ("release.missed", {}, "missed"),
        ("release.asking", {"activity": "a-1"}, "missed"),
        ("release.scheduled", {}, None),
        ("release.done", {"activity": "a-1"}, None),
        ("release.failed", {"activity": "a-1"}, None),
        ("release.failed", {}, "failure"),
    ],
)
def test_news_are_sorted_into_what_people_may_wish_to_hear_of(event, payload, expected):
    assert occasion(news(event, **payload)) == expected


def test_a_message_says_what_happened_why_and_what_to_do():
    said = message(
        news(
            "deployment.failed",
            sentence="promote store/staging to store/production",
            actor="ann",
            reason="nothing changed: The check failed [B404]",
            activity="a-1",
            commit=COMMIT,
        )
    )
    assert said.subject == "store/production: deployment failed"
    assert said.body.splitlines() == [
        "promote store/staging to store/production, by ann",
        "Why: nothing changed: The check failed [B404]",
        f"Commit: {COMMIT}",
        "Next: branchline activity show a-1",
    ]


def test_a_release_that_waits_for_approval_names_the_command_that_approves_it():
    said = message(news("release.approval-needed", release="r-1", due="2026-03-02 14:00 Europe/Berlin"))
    assert said.subject == "store/production: release waits for approval"
    assert "Due: 2026-03-02 14:00 Europe/Berlin" in said.body
    assert "Next: branchline release approve r-1" in said.body


def test_a_missed_release_names_the_commands_to_choose_from():
    assert "branchline release run r-1" in message(news("release.missed", release="r-1")).body


def test_one_that_was_skipped_for_being_late_cannot_be_run_any_more():
    assert "release run" not in message(news("release.missed", release="r-1", late="skip")).body


@pytest.mark.parametrize(
    ("became", "state"),
    [
        ("started", "pending"),
        ("succeeded", "success"),
        ("skipped", "success"),
        ("failed", "failure"),
        ("refused", "failure"),
        ("cancelled", "failure"),
    ],
)
def test_a_commits_status_follows_its_deployment(became, state):
    status = status_of(news(f"deployment.{became}", commit=COMMIT, reason="why"))
    assert isinstance(status, CommitStatus)
    assert (status.commit, status.state, status.context) == (COMMIT, state, "branchline/production")
    assert "store/production" in status.description


def test_nothing_else_is_a_commits_status():
    assert status_of(news("deployment.failed")) is None
    assert status_of(news("sync.finished", commit=COMMIT)) is None
    assert status_of(news("release.due", commit=COMMIT)) is None


def test_tries_come_ever_later_and_end():
    waits = [next_try(attempts, NOW) for attempts in range(1, MOST_ATTEMPTS)]
    assert waits == sorted(waits)
    assert waits[0] == NOW + timedelta(seconds=5)
    assert next_try(MOST_ATTEMPTS, NOW) is None
