"""The rows of the tables `environments` and `releases`."""

import re

import pytest

from branchline.domain.activity import Want
from branchline.domain.environment import short_digest
from branchline.operation import Request
from branchline.steps.promote import environment_at
from branchline.steps.releases.creating import Asked, create_release
from branchline.steps.tables import Table, environment_rows, release_rows, tables
from tests.workshop.application import application

MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"
ROUTES = {".branchline/routes.yaml": 'https://shop.test/: {type: upstream, upstream: "tiny:http"}\n'}


def rows(home):
    with home.opened() as platform:
        return {row["environment"]: row for row in environment_rows(platform)}


def test_an_environment_that_runs_nothing_has_only_its_name_and_status(home):
    row = rows(home)["store/staging"]
    assert (row["branch"], row["health"]) == ("staging", "inactive")
    assert {row[name] for name in ("commit", "artifact", "data", "last activity", "URL")} == {"-"}


def test_what_runs_is_told_with_its_data_where_they_come_from_and_since_when(home):
    commit = home.commit({**application(1), **ROUTES})
    home.push()
    home.run("deploy_environment", environment="store/master")
    for tier in ("staging", "production"):
        home.run(f"promote_to_{tier}", project="store")
    home.run("sync_data", environment="store/staging")
    home.run("deploy_environment", environment="store/staging", force=True)
    found = rows(home)
    row = found["store/staging"]
    assert row["commit"] == commit[:12]
    assert row["artifact"] == found["store/master"]["artifact"] != "-"
    assert re.fullmatch(f"healthy at {MOMENT}", row["health"])
    assert re.search(f"db: sanitized from store/production, sync {MOMENT}", row["data"])
    assert re.search(f"media: sanitized from store/production, sync {MOMENT}", row["data"])
    assert re.fullmatch(f"deploy: success, {MOMENT}", row["last activity"])
    assert row["URL"] == "https://shop.test/"
    assert re.search(f"db: raw, created {MOMENT}", found["store/production"]["data"])
    assert rows(home) == found


def test_an_artifact_marked_bad_is_not_healthy(home):
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        environment = environment_at(platform, "store/master")
        digest = platform.current(environment).digest
        request = Request("test", "store", "master", [Want(environment.resource)], "try", {}, "ann")
        with platform.operations.run(request) as live:
            platform.store.artifacts.mark_bad(
                live.grip, environment, digest, "its page does not answer", platform.clock()
            )
    assert rows(home)["store/master"]["health"] == "not healthy: its page does not answer"


def test_a_release_is_told_with_what_it_carries_its_local_time_and_its_approvals(home):
    home.run("deploy_environment", environment="store/master")
    with home.opened() as platform:
        asked = Asked("store", "staging", "2031-12-01 14:00", zone="Europe/Berlin")
        made = create_release(platform, asked, "ann")
        (row,) = release_rows(platform)
        assert row == {
            "release": made.id,
            "what": f"{short_digest(made.digest)} of {made.commit[:12]}",
            "path": "store/master -> store/staging",
            "due": "Mon 2031-12-01 14:00 CET",
            "state": "scheduled",
            "approvals": "none needed",
            "reason": "-",
        }
        platform.store.releases.hold(made.id, "bob", "wait for the campaign", platform.clock())
        (row,) = release_rows(platform)
        assert (row["state"], row["reason"]) == ("scheduled, held by bob", "wait for the campaign")
        platform.store.releases.cancel(made.id, "bob", "no campaign", platform.clock())
        (row,) = release_rows(platform)
        assert (row["state"], row["approvals"]) == ("cancelled", "-")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "![x](http://evil.test/)", "a | b\nc", "`x`"])
def test_nothing_in_a_row_is_markup_on_its_page(text):
    shown = Table("releases", "Releases.", "", [{"release": "r-1", "reason": text}]).as_markdown()
    assert len(shown.splitlines()) == 5
    assert not re.search(r"(?<!\\)[<`\[]", shown.replace("<br>", ""))
    assert len(re.findall(r"(?<!\\)\|", shown.splitlines()[4])) == 3


def test_a_table_without_rows_says_what_makes_one(home):
    with home.opened() as platform:
        (releases,) = [each for each in tables(platform) if each.key == "releases"]
    assert releases.rows == []
    assert "`create-release`" in releases.as_markdown()
