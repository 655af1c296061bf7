"""The forms of the deployments `ui`, and the tables beside them, on a real Prefect server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL

from branchline.launch.duties import forms, tables
from branchline.launch.server import Server
from branchline.wiring import CHECKOUT
from tests.server.prefect_server import api
from tests.server.tiny import Home, deploy, made_home, promote

pytestmark = pytest.mark.server

REGISTERED = yaml.safe_load((CHECKOUT / "deployments/prefect.yaml").read_text())["deployments"]
ENTRYPOINTS = {each["entrypoint"] for each in REGISTERED if each["name"] == forms.DEPLOYMENT}
WILD = [
    "'; DROP TABLE environments; --",
    "$(touch /tmp/pwned)",
    "`id`",
    "store/master; rm -rf /",
    "<script>alert(1)</script>",
    "store/<img src=x onerror=alert(1)>",
    "{{ prefect.flow_run.id }}",
    {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"},
    {"$ref": {"block_document_slug": "secret/key"}},
    ["store/master"],
    "store/master\x00",
    "",
    None,
    7,
]
"""What belongs into no field that has choices."""


class Forms:
    """The server, and the duties of the dispatcher that are called by hand."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._api = api(server.url)
        self.ids: dict[str, str] = {}
        self.empty: dict[str, Any] = {}
        """What the form of a deploy offered while there was no project, and how it answered."""

    def register(self, entrypoint: str) -> None:
        """As `prefect deploy` does: the schema of the flow, whatever there was before."""
        flow: Flow[..., Any] = load_flow_from_entrypoint(str(CHECKOUT / entrypoint))
        flow_id = self._api.post("/flows/", json={"name": flow.name}).json()["id"]
        made = self._api.post(
            "/deployments/",
            json={
                "name": forms.DEPLOYMENT,
                "flow_id": flow_id,
                "entrypoint": entrypoint,
                "enforce_parameter_schema": True,
                "parameter_openapi_schema": flow.parameters.model_dump(),
            },
        )
        self.ids[flow.name] = made.raise_for_status().json()["id"]

    def of(self, flow: str) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(f"/deployments/{self.ids[flow]}").raise_for_status().json()
        return found

    def field(self, flow: str, name: str) -> dict[str, Any]:
        field: dict[str, Any] = self.of(flow)["parameter_openapi_schema"]["properties"][name]
        return field

    def submit(self, flow: str, **parameters: Any) -> httpx.Response:
        return self._api.post(
            f"/deployments/{self.ids[flow]}/create_flow_run", json={"parameters": parameters}
        )

    def versions(self, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.post(
            "/artifacts/filter", json={"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        ).json()
        return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_here: None) -> Iterator[Home]:
    with made_home(tmp_path_factory.mktemp("forms")) as home:
        yield home


@pytest.fixture(scope="module")
def ui(home: Home) -> Forms:
    ui = Forms(Server(str(PREFECT_API_URL.value())))
    for entrypoint in ENTRYPOINTS:
        ui.register(entrypoint)
    forms.run(home.platform, ui.server)
    refused = ui.submit("deploy", environment="store/master").status_code
    ui.empty = {**ui.field("deploy", "environment"), "status": refused}
    return ui


@pytest.fixture(scope="module")
def filled(home: Home, ui: Forms) -> Forms:
    """With two projects, one of which runs everywhere, and whose Integration can be rolled back."""
    home.project("store")
    home.project("blog")
    deploy("store/master")
    promote("staging", "store")
    promote("production", "store")
    home.push("store", version="2\n")
    deploy("store/master")
    forms.run(home.platform, ui.server)
    return ui


def test_each_flow_with_something_to_choose_has_a_form(home: Home) -> None:
    there = {path.stem for path in (CHECKOUT / "flows").glob("*.py")}
    wanted = forms.forms(forms.now(home.platform)).keys() & there
    assert wanted == {Path(each.partition(":")[0]).stem for each in ENTRYPOINTS}


def test_a_home_without_projects_has_forms_that_say_what_to_do(ui: Forms) -> None:
    assert ui.empty["enum"] == []
    assert ui.empty["description"].endswith("branchline init NAME --from REPOSITORY makes a project.")
    assert ui.empty["status"] == 409


@pytest.mark.parametrize(
    ("flow", "field", "values"),
    [
        ("build", "project", ["blog", "store"]),
        ("deploy", "environment", ["blog/master", "store/master", "store/staging", "store/production"]),
        ("rollback", "environment", ["store/master"]),
        ("promote-to-staging", "project", ["store"]),
        ("promote-to-production", "project", ["store"]),
        ("sync-data", "environment", ["store/master", "store/staging"]),
        ("deactivate", "environment", ["store/master", "store/staging", "store/production"]),
    ],
)
def test_a_form_offers_what_exists_now(filled: Forms, flow: str, field: str, values: list[str]) -> None:
    assert filled.field(flow, field)["enum"] == values
    assert filled.submit(
        flow, **{field: values[0]}, **({"ref": "master"} if flow == "build" else {})
    ).is_success


def test_an_optional_field_offers_its_choices_or_nothing(filled: Forms) -> None:
    field = filled.field("sync-data", "source")
    assert field["anyOf"][0]["enum"] == ["production", "staging"]
    assert field["default"] is None
    assert "source" not in filled.of("promote-to-staging")["parameter_openapi_schema"]["properties"]


@pytest.mark.parametrize(
    "flow", ["deploy", "rollback", "sync-data", "deactivate", "promote-to-staging", "build"]
)
@pytest.mark.parametrize("value", WILD, ids=repr)
def test_what_is_not_offered_is_refused_by_the_form(filled: Forms, flow: str, value: Any) -> None:
    for field, schema in filled.of(flow)["parameter_openapi_schema"]["properties"].items():
        if "enum" in schema:
            assert filled.submit(flow, **{field: value, "ref": "master"}).status_code == 409


def test_a_field_that_a_flow_does_not_have_is_refused_by_the_form(filled: Forms) -> None:
    response = filled.submit("deploy", environment="store/master", nonsense=1)
    assert response.status_code == 409
    assert "nonsense" in response.text


def test_a_form_changes_only_when_what_it_offers_does(home: Home, filled: Forms) -> None:
    before = {flow: filled.of(flow)["updated"] for flow in filled.ids}
    forms.run(home.platform, filled.server)
    assert {flow: filled.of(flow)["updated"] for flow in filled.ids} == before
    home.project("new")
    forms.run(home.platform, filled.server)
    assert "new/master" in filled.field("deploy", "environment")["enum"]
    changed = {flow for flow in filled.ids if filled.of(flow)["updated"] != before[flow]}
    assert changed == {"build", "deploy"}


def test_a_form_that_was_registered_again_gets_its_choices_back(home: Home, filled: Forms) -> None:
    filled.register("flows/deploy_environment.py:deploy_environment")
    assert "enum" not in filled.field("deploy", "environment")
    forms.run(home.platform, filled.server)
    assert "store/master" in filled.field("deploy", "environment")["enum"]


def test_a_table_gets_a_version_when_what_it_says_changes_and_only_then(home: Home, filled: Forms) -> None:
    tables.run(home.platform, filled.server)
    before = filled.versions("environments")
    rows = {row["environment"]: row for row in json.loads(before[0]["data"])}
    assert rows["store/production"]["branch"] == "production"
    assert rows["blog/master"]["health"] == "inactive"
    assert "| store/production | production |" in before[0]["description"]
    tables.run(home.platform, filled.server)
    assert filled.versions("environments") == before
    deploy("blog/master")
    tables.run(home.platform, filled.server)
    newest, *others = filled.versions("environments")
    assert others == before
    rows = {row["environment"]: row for row in json.loads(newest["data"])}
    assert rows["blog/master"]["health"].startswith("healthy at ")


def test_a_table_keeps_as_many_versions_as_it_may(
    home: Home, filled: Forms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "KEPT", 1)
    deploy("blog/master")
    home.project(f"more-{os.getpid()}")
    tables.run(home.platform, filled.server)
    assert len(filled.versions("environments")) == 1


@pytest.mark.parametrize("entrypoint", sorted(each["entrypoint"] for each in REGISTERED))
def test_a_flow_checks_its_parameters_itself(entrypoint: str) -> None:
    flow = load_flow_from_entrypoint(str(CHECKOUT / entrypoint))
    assert not flow.should_validate_parameters, "declare it with validate_parameters=False"
