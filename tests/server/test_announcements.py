"""What a real Prefect server makes of what is announced: events, an automation that hangs on one, notifications."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings

from branchline.config.settings import Notifications
from branchline.domain.activity import Want
from branchline.domain.announcement import News
from branchline.launch.duties import announcements as duty
from branchline.launch.server import Server as Connection
from branchline.operation import Request
from branchline.platform import Platform
from branchline.state.announcements import announce
from tests.server.prefect_server import Server, until
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.listener import Listener, listening

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

FLOW_RUN = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


@dataclass(frozen=True)
class Stage:
    server: Server
    url: str

    @property
    def connection(self) -> Connection:
        return Connection(self.url)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Those of this name that the server has kept, once there is one."""
        wanted = {"filter": {"event": {"name": [name]}}}
        return until(lambda: self.server._ok("POST", "/events/filter", wanted)["events"] or None, 60, name)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    server = Server(tmp_path_factory.mktemp("prefect"), {})
    server.environment |= {
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "true",
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true",
        # its backlog is written at this pace
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5",
    }
    try:
        server.start()
        server.wait_ready()
        url = server.environment["PREFECT_API_URL"]
        with temporary_settings({PREFECT_API_URL: url}):
            yield Stage(server, url)
    except BaseException:
        print(server.output())
        raise
    finally:
        server.stop()


@pytest.fixture
def hook() -> Iterator[Listener]:
    with listening() as listener:
        yield listener


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    home = Home(tmp_path / "branchline").make()
    home.commit(application(1))
    home.init()
    with home.opened() as platform:
        yield platform
    home.remove()


def webhook(name: str, url: str) -> CustomWebhookNotificationBlock:
    block = CustomWebhookNotificationBlock(
        name=name, url=f"{url}/{name}", json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    block.save(name, overwrite=True)
    return block


def deploy(platform: Platform, *, fails: bool) -> None:
    """As far as anybody outside is told."""
    request = Request(
        "deploy",
        "store",
        "master",
        [Want("environment:store/master")],
        "deploy master to store/master",
        {},
        "ann",
        flow_run_id=FLOW_RUN,
    )
    with contextlib.suppress(RuntimeError), platform.operations.run(request):
        if fails:
            raise RuntimeError("the hook broke")


def test_an_automation_that_hangs_on_a_failed_deployment_reacts(
    stage: Stage, platform: Platform, hook: Listener
) -> None:
    block = webhook("automation", hook.url)
    Automation(
        name="a failed deployment",
        trigger=EventTrigger(
            expect={"branchline.deployment.failed"},
            match={"prefect.resource.id": "branchline.environment.store/*"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block._block_document_id,
                subject="{{ event.resource['branchline.environment'] }}",
                body="{{ event.payload.reason }}",
            )
        ],
    ).create()
    deploy(platform, fails=True)

    def told() -> list[dict[str, Any]] | None:
        # the server's triggers learn of a new automation a moment after it was made, and miss what came before
        if not platform.store.announcements.unsent():
            deploy(platform, fails=True)
        duty.run(platform, stage.connection)
        return [got.body for got in hook.got] or None

    assert until(told, 60, "the automation reacts")[0] == {
        "subject": "master",
        "body": "nothing changed: RuntimeError: the hook broke",
    }


def test_an_event_names_its_environment_its_run_and_what_happened(stage: Stage, platform: Platform) -> None:
    deploy(platform, fails=False)
    duty.run(platform, stage.connection)
    event = stage.events("branchline.deployment.succeeded")[0]
    assert event["resource"]["prefect.resource.id"] == "branchline.environment.store/master"
    assert event["resource"]["branchline.project"] == "store"
    assert event["related"][0]["prefect.resource.id"] == f"prefect.flow-run.{FLOW_RUN}"
    assert (event["payload"]["kind"], event["payload"]["actor"]) == ("deploy", "ann")
    assert platform.store.announcements.unsent() == ()


def test_people_are_notified_through_the_servers_blocks_in_plain_words(
    stage: Stage, platform: Platform, hook: Listener
) -> None:
    webhook("ops", hook.url)
    settings = replace(
        platform.settings, notifications=Notifications(failure=("custom-webhook/ops", "slack-webhook/absent"))
    )
    deploy(platform, fails=True)
    duty.run(replace(platform, settings=settings), stage.connection)
    (got,) = hook.got
    assert (got.path, got.body["subject"]) == ("/ops", "store/master: deployment failed")
    assert "Why: nothing changed: RuntimeError: the hook broke" in got.body["body"]
    assert "Next: branchline activity show a-" in got.body["body"]
    assert f"/runs/flow-run/{FLOW_RUN}" in got.body["body"]
    (left,) = platform.store.announcements.unsent()
    assert set(left.told) == {"event", "notification custom-webhook/ops"}
    assert left.note is not None
    assert left.note.startswith("notification slack-webhook/absent: ")


@pytest.mark.parametrize(
    ("kind", "event", "subject"),
    [
        ("success", "sync.finished", "store/staging: sync finished"),
        ("failure", "release.failed", "store/staging: release failed"),
        ("approval", "release.approval-needed", "store/staging: release waits for approval"),
        ("missed", "release.missed", "store/staging: release was missed"),
    ],
)
def test_each_kind_of_news_goes_to_the_blocks_that_are_named_for_it_and_to_no_other(
    stage: Stage, platform: Platform, hook: Listener, kind: str, event: str, subject: str
) -> None:
    webhook(kind, hook.url), webhook("others", hook.url)
    blocks = {each.name: ("custom-webhook/others",) for each in fields(Notifications)}
    named = Notifications(**blocks | {kind: (f"custom-webhook/{kind}",)})
    with platform.store.database.write() as session:
        announce(session, News(f"branchline.{event}", "store/staging", {"release": "r-1"}), platform.clock())
    duty.run(replace(platform, settings=replace(platform.settings, notifications=named)), stage.connection)
    assert [(got.path, got.body["subject"]) for got in hook.got] == [(f"/{kind}", subject)]
    assert platform.store.announcements.unsent() == ()


def test_a_hook_that_says_no_is_tried_again_and_its_address_is_not_written_down(
    stage: Stage, platform: Platform, hook: Listener
) -> None:
    hook.answers = [(500, ""), (200, "")]
    webhook("secret-path", hook.url)
    settings = replace(
        platform.settings, notifications=Notifications(success=("custom-webhook/secret-path",))
    )
    deploy(platform, fails=False)
    now = platform.clock()
    duty.run(replace(platform, settings=settings, clock=lambda: now), stage.connection)
    (left,) = platform.store.announcements.unsent()
    assert left.note is not None
    assert hook.url not in left.note
    later = now + timedelta(minutes=1)
    duty.run(replace(platform, settings=settings, clock=lambda: later), stage.connection)
    assert len(hook.got) == 2
    assert platform.store.announcements.unsent() == ()
