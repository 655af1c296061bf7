"""Keeps the dropdowns of the forms in the Prefect UI current: what exists now, in the deployments named `ui`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.choices import Choice, Form, forms, now

EVERY = 2.0
DEPLOYMENT = "ui"
"""By the side of `deploy/deploy`, which takes any value that fits its pattern, there is `deploy/ui`."""


def run(platform: Platform, server: Server) -> None:
    """Changes only what differs. Raises as `Server.asked` does."""
    wanted = forms(now(platform))
    with server.asked() as api:
        for deployment in api.read_deployments(
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[DEPLOYMENT]))
        ):
            form = wanted.get(PurePath((deployment.entrypoint or "").partition(":")[0]).stem)
            schema = deployment.parameter_openapi_schema
            if form is None or schema is None:
                continue
            current = with_choices(schema, form)
            if current != schema:
                api.request(
                    "PATCH",
                    "/deployments/{id}",
                    path_params={"id": deployment.id},
                    json={"parameter_openapi_schema": current},
                )


def with_choices(schema: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """A form's schema with these choices, whatever choices it had before. It takes no other fields than its own."""
    fields = {name: field for name, field in schema["properties"].items() if name not in form.without}
    for name, choice in form.choices.items():
        if name in fields:
            fields[name] = _with_choice(fields[name], choice)
    return {**schema, "properties": fields, "additionalProperties": False}


def _with_choice(field: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    values = list(choice.values)
    described = str(field.get("description", "")).partition(".\n\n")[0]
    changed = {**field, "description": f"{described}.\n\n{choice.says}" if choice.says else described}
    if "anyOf" not in field:
        return {**changed, "enum": values}
    return {
        **changed,
        "anyOf": [
            {**each, "enum": values} if each.get("type") == "string" else each for each in field["anyOf"]
        ],
    }
