"""What was done: activities, their steps and their logs."""

from __future__ import annotations

from typing import Annotated

import typer

from branchline.cli.operations import Json, show_summary
from branchline.cli.terminal import ago, out, show_json, show_table
from branchline.errors import BadInput
from branchline.steps.summary import columns_of, summary_of
from branchline.wiring import open_platform

app = typer.Typer(help="What was done, by whom, and how it ended.", no_args_is_help=True)
Activity = Annotated[str, typer.Argument(help="The beginning of an activity's id.", metavar="ACTIVITY")]


@app.command("list")
def list_(
    environment: Annotated[str | None, typer.Argument(help="A project, or project/environment.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    json: Json = False,
) -> None:
    """The newest first."""
    platform = open_platform()
    project, _, name = (environment or "").partition("/")
    found = platform.store.activities.recent(project or None, name or None, limit)
    if json:
        show_json(found)
        return
    now = platform.clock()
    show_table(
        ("activity", "what", "by", "when", "how it ended", ""),
        [
            (
                each.id,
                each.sentence,
                each.actor,
                f"{ago(each.created_at, now)} ago",
                each.outcome,
                each.reason or "",
            )
            for each in found
        ],
    )


@app.command()
def show(activity: Activity, json: Json = False) -> None:
    """Its steps, what changed, and warnings; of a sync, its report too."""
    platform = open_platform()
    summary = summary_of(platform, activity)
    if json:
        show_json(summary)
        return
    show_summary(summary)
    show_table(
        ("step", "state", "seconds", ""),
        [(each["name"], each["state"], each["seconds"], each["detail"]) for each in summary.steps],
    )
    if summary.sync:
        show_table(
            ("table", "rows", "column", "mask", "reason"),
            columns_of(summary.sync),
            "\nwhat was done to the data",
        )


@app.command()
def log(activity: Activity) -> None:
    """What its hooks and checks printed."""
    platform = open_platform()
    path = platform.layout.log(platform.store.activities.get(activity).id)
    if not path.exists():
        raise BadInput(344, f"Activity {activity} printed nothing.", f"branchline activity show {activity}")
    out.print(path.read_text(encoding="utf-8", errors="replace"), end="", markup=False, soft_wrap=True)
