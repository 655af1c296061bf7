"""Which channel is told what, how often, and what a channel that fails holds up."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from prefect.settings import PREFECT_CLIENT_CSRF_SUPPORT_ENABLED, temporary_settings

from branchline.config.settings import Notifications
from branchline.domain.activity import Want
from branchline.domain.announcement import MOST_ATTEMPTS
from branchline.errors import Failed, Unavailable
from branchline.launch.duties import announcements as duty
from branchline.launch.server import Server
from branchline.operation import Request
from tests.workshop.listener import listening

COMMIT = "c" * 40


class Statuses:
    """`fails` is what it raises from now on."""

    def __init__(self):
        self.told = []
        self.fails = None

    def tell(self, status):
        if self.fails:
            raise self.fails
        self.told.append((status.commit, status.state, status.target_url))


class Desk:
    """A pass of the duty at a time of ours, over a real outbox, with a web server in Prefect's place."""

    def __init__(self, platform, api):
        self.now = platform.clock()
        self.statuses = Statuses()
        self.platform = replace(
            platform,
            clock=lambda: self.now,
            operations=replace(platform.operations, clock=lambda: self.now),
            commit_statuses=lambda project: self.statuses if project == "store" else None,
        )
        self.api = api
        api.answers = [(204, "")]

    @property
    def unsent(self):
        return self.platform.store.announcements.unsent()

    @property
    def events(self):
        return [got.body[0] for got in self.api.got]

    def deploy(self, *, fails=False, commit=COMMIT, flow_run=None):
        wants = [Want("environment:store/master")]
        request = Request("deploy", "store", "master", wants, "deploy", {}, "ann", flow_run_id=flow_run)
        with suppress(RuntimeError), self.platform.operations.run(request) as live:
            self.platform.store.activities.deploys(live.grip, commit, self.now)
            if fails:
                raise RuntimeError

    def pass_(self):
        duty.run(self.platform, Server(f"{self.api.url}/api", "ann:hunter22"))


@pytest.fixture
def desk(home):
    no_handshake = temporary_settings({PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False})
    with listening() as api, home.opened() as platform, no_handshake:
        yield Desk(platform, api)


def test_each_channel_is_told_once(desk):
    desk.deploy(flow_run="run-1")
    desk.pass_()
    desk.pass_()
    assert [event["event"] for event in desk.events] == [
        "branchline.deployment.started",
        "branchline.deployment.succeeded",
    ]
    assert desk.statuses.told == [(COMMIT, "success", f"{desk.api.url}/v2/runs/flow-run/run-1")]
    assert desk.unsent == ()


def test_a_deployment_that_still_runs_is_pending(desk):
    wants = [Want("environment:store/master")]
    request = Request("deploy", "store", "master", wants, "deploy", {}, "ann")
    with desk.platform.operations.run(request) as live:
        desk.platform.store.activities.deploys(live.grip, COMMIT, desk.now)
        desk.pass_()
    assert desk.statuses.told == [(COMMIT, "pending", None)]
    desk.pass_()
    assert desk.statuses.told[-1] == (COMMIT, "success", None)


def test_a_channel_that_fails_is_tried_alone_and_later(desk):
    desk.statuses.fails = Unavailable(288, "GitHub does not answer.")
    desk.deploy()
    desk.pass_()
    (left,) = desk.unsent
    assert (left.attempts, left.told) == (1, ("event",))
    assert left.note == "commit status: GitHub does not answer. [B288]"
    desk.statuses.fails = None
    desk.pass_()
    assert desk.statuses.told == []
    desk.now += timedelta(seconds=5)
    desk.pass_()
    assert desk.statuses.told == [(COMMIT, "success", None)]
    assert len(desk.events) == 2
    assert desk.unsent == ()


def test_a_server_that_does_not_answer_holds_up_no_commit_status_and_is_waited_for(desk):
    desk.api.answers = [(500, "{}")]
    desk.deploy()
    for _ in range(2 * MOST_ATTEMPTS):
        desk.pass_()
        desk.now += timedelta(minutes=1)
    assert desk.statuses.told == [(COMMIT, "success", None)]
    assert [(each.attempts, each.note) for each in desk.unsent] == [(0, None), (0, None)]
    desk.api.answers = [(204, "")]
    desk.now += timedelta(minutes=1)
    desk.pass_()
    assert desk.unsent == ()


def test_a_failed_channel_is_asked_once_in_a_pass(desk):
    calls = []
    desk.statuses.fails = Unavailable(288, "no")
    tell = desk.statuses.tell
    desk.statuses.tell = lambda status: (calls.append(status), tell(status))
    for number in range(5):
        desk.deploy(commit=f"{number}" * 40)
    desk.pass_()
    assert len(calls) == 1
    assert len(desk.events) == 10


def test_a_server_with_a_password_is_asked_with_it_for_blocks_too(desk):
    desk.api.answers = [(204, ""), (404, "{}")]
    notifications = Notifications(success=("slack-webhook/ops",))
    desk.platform = replace(
        desk.platform, settings=replace(desk.platform.settings, notifications=notifications)
    )
    with desk.platform.operations.run(
        Request("sync", "store", "master", [Want("environment:store/master")], "sync", {}, "ann")
    ):
        pass
    desk.pass_()
    assert [got.path.partition("?")[0] for got in desk.api.got] == [
        "/api/events",
        "/api/block_types/slug/slack-webhook/block_documents/name/ops",
    ]
    assert {got.headers["authorization"] for got in desk.api.got} == {"Basic YW5uOmh1bnRlcjIy"}
    (left,) = desk.unsent
    assert left.note == (
        "notification slack-webhook/ops: The Prefect server has no notification block slack-webhook/ops. [B291]"
    )


def test_what_comes_late_does_not_cover_what_is_newer(desk):
    desk.statuses.fails = Unavailable(288, "no")
    desk.deploy(fails=True)
    desk.pass_()
    desk.statuses.fails = None
    desk.deploy()
    desk.now += timedelta(minutes=1)
    desk.pass_()
    assert desk.statuses.told == [(COMMIT, "success", None)]
    assert desk.unsent == ()


def test_what_fails_again_and_again_is_given_up_with_a_note(desk):
    desk.statuses.fails = Failed(289, "GitHub answered 401.")
    desk.deploy()
    for _ in range(MOST_ATTEMPTS):
        assert desk.unsent != ()
        desk.pass_()
        desk.now += timedelta(hours=1)
    assert desk.unsent == ()
    with desk.platform.store.database.read() as session:
        notes = session.connection().exec_driver_sql("SELECT note FROM announcements ORDER BY id").all()
    assert notes[-1] == ("given up: commit status: GitHub answered 401. [B289]",)


def test_what_nobody_told_within_a_day_is_told_no_more(desk):
    desk.deploy()
    desk.now += timedelta(days=1, seconds=1)
    desk.pass_()
    assert desk.unsent == ()
    assert (desk.events, desk.statuses.told) == ([], [])


def test_an_event_sent_twice_has_the_same_id(desk):
    desk.deploy()
    outbox = desk.platform.store.announcements
    told, outbox_told = [], type(outbox).told
    type(outbox).told = lambda _self, number, channel: told.append((number, channel))
    try:
        desk.pass_()
        with desk.platform.store.database.write() as session:
            session.connection().exec_driver_sql("UPDATE announcements SET sent_at = NULL")
        desk.pass_()
    finally:
        type(outbox).told = outbox_told
    ids = [event["id"] for event in desk.events]
    assert len(ids) == 4
    assert ids[:2] == ids[2:]


def test_a_deploy_shows_at_github_as_the_settings_say(home, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "t0ken")
    with listening() as api:
        target = {
            "kind": "github",
            "repository": "harbour/store",
            "url": api.url,
            "token": {"env": "A_TOKEN"},
        }
        home.configure({"commit_status": {"store": target}})
        home.run("deploy_environment", environment="store/master")
        with listening() as prefect, home.opened() as platform:
            prefect.answers = [(204, "")]
            duty.run(platform, Server(f"{prefect.url}/api"))
            commit = platform.repository("store").resolve("master").id
    assert [(got.path, got.body["state"], got.body["context"]) for got in api.got] == [
        (f"/repos/harbour/store/statuses/{commit}", "success", "branchline/master")
    ]
