"""Keeps the artifacts `environments` and `releases` current. A new version is made only when what they say has changed."""

from __future__ import annotations

import json
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from branchline.launch.server import Server
from branchline.platform import Platform
from branchline.steps.tables import Table, tables

EVERY = 5.0
"""More seldom than the forms: signatures of approvals are verified each time."""
KEPT = 100
"""Versions of a table: its history in the UI."""


def run(platform: Platform, server: Server) -> None:
    """Raises as `Server.asked` does."""
    current = tables(platform)
    with server.asked() as api:
        for table in current:
            _show(api, table)


def _show(api: SyncPrefectClient, table: Table) -> None:
    shown = {"data": json.dumps(table.rows), "description": table.as_markdown()}
    keyed = {"artifacts": {"key": {"any_": [table.key]}}}
    latest = _found(api, "/artifacts/latest/filter", keyed)
    if latest and all(latest[0][name] == value for name, value in shown.items()):
        return
    api.request("POST", "/artifacts/", json={"key": table.key, "type": "table", **shown})
    for old in _found(api, "/artifacts/filter", {**keyed, "sort": "CREATED_DESC", "offset": KEPT}):
        api.delete_artifact(old["id"])


def _found(api: SyncPrefectClient, path: Any, query: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.request("POST", path, json=query).json()
    return found
