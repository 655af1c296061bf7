"""Pushes: what was pushed, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Json
from branchline.cli.terminal import ago, out, show_json, show_table
from branchline.domain.push import Push
from branchline.platform import Platform
from branchline.steps.pushes import scan as scan_repository
from branchline.wiring import open_platform

app = typer.Typer(help="What was pushed, and what became of it.", no_args_is_help=True)


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Argument(help="A project; without it, all.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """The newest first."""
    platform = open_platform()
    name = platform.store.environments.project(project).name if project else None
    _show(platform, platform.store.pushes.recent(name, limit), json=json)


@app.command()
def scan(project: Annotated[str, typer.Argument(help="The project.")], json: Json = False) -> None:
    """Write down what was pushed to a project and could not be: it is deployed then. Branchline does so every 30 seconds."""
    platform = open_platform()
    found = scan_repository(platform, platform.store.environments.project(project))
    if found or json:
        _show(platform, found, json=json)
    else:
        out.print(f"every branch of {escape(project)} is where a push, a promotion or a deploy has put it")


def _show(platform: Platform, pushes: Sequence[Push], *, json: bool) -> None:
    if json:
        show_json(pushes)
        return
    now = platform.clock()
    show_table(
        ("push", "project", "what", "by", "when", "state", "activity", ""),
        [
            (
                each.id,
                each.project,
                each.what,
                each.pusher,
                f"{ago(each.created_at, now)} ago",
                each.state,
                each.activity_id,
                each.reason or "",
            )
            for each in pushes
        ],
    )
