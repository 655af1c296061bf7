"""What an engineer does in the Prefect UI, and what its pages then show: a real browser, a real server, a real worker.

With BRANCHLINE_TEST_SCREENSHOTS=docs/pictures the pictures of docs/how-to/use-the-prefect-ui.md are taken again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from branchline.launch.duties import forms, tables
from branchline.launch.server import Server as Api
from branchline.steps.projects import init_project
from branchline.steps.releases.creating import Asked, create_release
from tests.browser.chromium import chromium, require_chromium, take_picture
from tests.browser.prefect_pages import Form, Pages
from tests.server.prefect_server import Server, started
from tests.server.tiny import Home, deploy, made_home, promote

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

RUN_SECONDS = 120.0
CAREFUL = "careful"


@dataclass(frozen=True)
class Desk:
    """A browser before the UI of a server with a worker. `store` runs everywhere, and a newer commit is on its master;
    `blog` runs on Integration, and its Staging takes releases only that somebody approved.
    """

    home: Home
    server: Server
    pages: Pages

    def form(self, flow: str) -> Form:
        return self.pages.fill_form(self.server.deployment(flow, "ui")["id"])

    def submit(self, flow: str, form: Form) -> None:
        """To the page of the run."""
        before = self._runs(flow)
        form.submit()
        (run,) = self.pages.soon(
            lambda: self._runs(flow) - before or None, RUN_SECONDS, f"a run of {flow} is started"
        )
        self.pages.open(f"runs/flow-run/{run}", shows="Job Variables")

    def _runs(self, flow: str) -> set[str]:
        return {run["id"] for run in self.server.runs_of(flow)}

    def dispatch(self) -> None:
        """What the dispatcher does all the time."""
        api = Api(self.server.environment["PREFECT_API_URL"])
        forms.run(self.home.platform, api)
        tables.run(self.home.platform, api)

    def picture(self, name: str, height: int = 1000) -> None:
        take_picture(self.pages.driver, name, height)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    require_chromium()
    root = tmp_path_factory.mktemp("desk")
    (root / "prefect").mkdir()
    with made_home(root) as home, started(root / "prefect", home.environment) as server:
        _approvals_for_staging(home)
        home.project("store")
        init_project(home.platform, "blog", CAREFUL, str(root / "source"))
        deploy("blog/master")
        deploy("store/master")
        promote("staging", "store")
        promote("production", "store")
        home.push("store", version="2\n")
        server.wait_ready()
        server.prefect("work-pool", "create", "branchline", "--type", "process")
        server.register("--name", "ui", "--name", "deploy", "--name", "promote-to-staging")
        server.start_worker()
        with chromium(root / "profile") as driver:
            desk = Desk(
                home, server, Pages(driver, server.environment["PREFECT_API_URL"].removesuffix("/api"))
            )
            desk.dispatch()
            yield desk


def _approvals_for_staging(home: Home) -> None:
    """One more plan: a name alone is accepted there, which Production would not do."""
    file = home.root / "config/plans.yaml"
    plans = yaml.safe_load(file.read_text())
    plans["plans"][CAREFUL] = copy.deepcopy(plans["plans"]["pro"])
    rules = {"count": 1, "separation": False, "signed": False}
    plans["plans"][CAREFUL]["tiers"]["staging"]["approvals"] = rules
    file.write_text(yaml.safe_dump(plans))


def test_a_deploy_is_chosen_from_what_exists_and_its_run_shows_what_it_did(desk: Desk) -> None:
    form = desk.form("deploy")
    assert form.offers("environment", look=lambda: desk.picture("form")) == [
        "blog/master",
        "store/master",
        "store/staging",
        "store/production",
    ]
    form.choose("environment", "store/master")
    desk.submit("deploy", form)
    shown = desk.pages.ends_as("Completed", RUN_SECONDS)
    assert "deploy store/master" in shown
    for step in ("preflight", "build or reuse the artifact", "prepare the release", "switch"):
        desk.pages.tab("Task Runs")
        desk.pages.reads(step)
    desk.pages.tab("Artifacts")
    desk.pages.click("//a[contains(., 'deploy its branch to store/master')]")
    shown = desk.pages.reads("branchline activity show a-")
    desk.picture("summary", 1300)
    for fact in ("deploy its branch to store/master: success", "before", "after", "customers: 2"):
        assert fact in shown


def test_a_promotion_is_chosen_by_its_project(desk: Desk) -> None:
    form = desk.form("promote-to-staging")
    assert form.offers("project") == ["blog", "store"]
    form.choose("project", "store")
    desk.submit("promote-to-staging", form)
    shown = desk.pages.ends_as("Completed", RUN_SECONDS)
    assert "promote store to Staging" in shown


def test_a_sync_is_offered_downwards_only_and_shows_how_far_it_is(desk: Desk) -> None:
    form = desk.form("sync-data")
    assert form.offers("environment") == ["store/master", "store/staging"]
    form.choose("environment", "store/staging")
    desk.submit("sync-data", form)
    shown = desk.pages.ends_as("Completed", RUN_SECONDS)
    assert "refresh store/staging with sanitized data" in shown
    desk.picture("run")
    desk.pages.tab("Artifacts")
    desk.pages.reads("1 rows copied, 1 columns masked, leaks 0 (100 %)")
    desk.pages.click("//a[contains(., 'refresh store/staging with the data of store/production')]")
    shown = desk.pages.reads("store/production to store/staging, sanitized")
    assert "email" in shown


def test_the_table_of_environments_shows_what_all_that_has_made(desk: Desk) -> None:
    desk.dispatch()
    desk.pages.open("artifacts/key/environments", shows="store/staging")
    shown = desk.pages.text
    assert "sanitized from store/production" in shown
    assert "healthy at" in shown
    assert "promote: success" in shown or "sync: success" in shown
    desk.picture("environments", 1200)


def test_wrong_input_is_refused_by_the_form_and_what_is_corrected_is_taken(desk: Desk) -> None:
    form = desk.form("deploy")
    form.choose("environment", "store/master")
    form.write("ref", "--upload-pack=x", optional=True)
    form.submit()
    shown = desk.pages.reads("does not match")
    assert "--upload-pack=x" in shown
    desk.pages.show("Parameters")
    desk.picture("refused-by-the-form")
    form.write("ref", "master", optional=True)
    desk.submit("deploy", form)


def test_with_the_forms_check_switched_off_the_run_says_what_was_wrong(desk: Desk) -> None:
    form = desk.form("deploy")
    form.choose("environment", "store/master")
    form.write("ref", "$(reboot) <b>; DROP TABLE x", optional=True)
    form.switch("Enforce Parameter Schema")
    desk.submit("deploy", form)
    desk.pages.ends_as("Bad input", RUN_SECONDS)
    desk.pages.tab("Details")
    shown = desk.pages.reads("[B343]")
    assert "The flow deploy does not take that: ref: " in shown
    desk.picture("bad-input")


def test_a_release_is_approved_by_a_short_form_and_the_table_of_releases_counts_it(desk: Desk) -> None:
    release = create_release(desk.home.platform, Asked("blog", "staging", "2031-12-01 14:00", "UTC"), "bob")
    desk.dispatch()
    form = desk.form("approve-release")
    assert form.offers("release") == [release.id]
    form.choose("release", release.id)
    form.choose("decision", "approve")
    form.write("name", "ann")
    desk.picture("approve")
    desk.submit("approve-release", form)
    shown = desk.pages.ends_as("Completed", RUN_SECONDS)
    assert f"approve release {release.id} as ann" in shown
    desk.dispatch()
    desk.pages.open("artifacts/key/releases", shows=release.id)
    shown = desk.pages.text
    for fact in ("blog/master -> blog/staging", "Mon 2031-12-01 14:00 UTC", "scheduled", "1/1"):
        assert fact in shown
    desk.picture("releases", 600)


def test_what_would_change_nothing_ends_as_skipped_and_a_rule_that_says_no_as_refused(desk: Desk) -> None:
    skipped = desk.server.run("deploy", environment="store/production")
    refused = desk.server.run("promote-to-staging", project="blog")
    assert desk.server.ended(skipped)["state"]["name"] == "Skipped"
    state = desk.server.ended(refused)["state"]
    assert (state["type"], state["name"]) == ("FAILED", "Refused")
