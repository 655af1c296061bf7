"""Release trains and scheduled syncs: what comes again by a calendar."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Environment, Json, Project, Source
from branchline.cli.terminal import out, show_facts, show_json, show_table
from branchline.domain.release import Kind, Timetable
from branchline.platform import Platform
from branchline.steps import timetables
from branchline.steps.timetables import TimetableView
from branchline.wiring import open_platform

train_app = typer.Typer(
    help="Releases that come again: what is healthy on the source at cut-off is promoted at each time.",
    no_args_is_help=True,
)
sync_app = typer.Typer(help="Syncs that come again: data refreshed at each time.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The beginning of its id.", metavar="ID")]
Times = Annotated[
    str,
    typer.Option(
        "--calendar",
        metavar="TIMES",
        help='"every weekday 14:00 Europe/Berlin", "first Tuesday 22:00 UTC", or an RRULE and a zone.',
    ),
]
Zone = Annotated[str | None, typer.Option("--zone", help="The time zone, when the calendar names none.")]
Window = Annotated[str, typer.Option("--window", help="How long after its time one may still start.")]
Late = Annotated[
    str, typer.Option("--late", help="What becomes of one that could not start until then: run, skip or ask.")
]
Why = Annotated[str, typer.Option("--reason", metavar="WHY", help="Shown with it.")]


def add_to(app: typer.Typer) -> None:
    """Adds the groups."""
    app.add_typer(train_app, name="train")
    app.add_typer(sync_app, name="sync-schedule")
    _add_the_same(train_app, "promotion", "No train", "branchline train create PROJECT TIER --calendar TIMES")
    _add_the_same(
        sync_app, "sync", "No sync", "branchline sync-schedule create PROJECT/ENVIRONMENT --calendar TIMES"
    )


@train_app.command("create")
def create_train(
    project: Project,
    tier: Annotated[str, typer.Argument(help="staging or production")],
    calendar: Times,
    zone: Zone = None,
    source: Source = None,
    cutoff: Annotated[
        str, typer.Option("--cutoff", help="How long before each time it is decided what goes.")
    ] = timetables.CUTOFF,
    window: Window = timetables.WINDOW,
    late: Late = "ask",
    json: Json = False,
) -> None:
    """At cut-off, what is healthy on the source is pinned as a release; it runs at its time, when its gates are open."""
    platform = open_platform()
    made = timetables.create_train(
        platform,
        project,
        tier,
        calendar,
        _actor(),
        zone=zone,
        source=source,
        cutoff=cutoff,
        window=window,
        late=late,
    )
    _show(platform, made, json=json)


@sync_app.command("create")
def create_sync(
    environment: Environment,
    calendar: Times,
    zone: Zone = None,
    source: Source = None,
    window: Window = timetables.SYNC_WINDOW,
    late: Late = "skip",
    json: Json = False,
) -> None:
    """Refresh an environment with sanitized data at each time, unless a freeze is on."""
    platform = open_platform()
    made = timetables.create_sync(
        platform, environment, calendar, _actor(), zone=zone, source=source, window=window, late=late
    )
    _show(platform, made, json=json)


def _add_the_same(app: typer.Typer, kind: Kind, none_yet: str, first: str) -> None:
    @app.command("list")
    def list_(json: Json = False) -> None:
        """All of them, with their next times."""
        platform = open_platform()
        views = [timetables.view(platform, each) for each in platform.store.timetables.list(kind)]
        if json:
            show_json(views)
        elif views:
            _show_all(views)
        else:
            out.print(f"{none_yet} comes again; {first}")

    @app.command("hold")
    def hold(timetable: Id, reason: Why, json: Json = False) -> None:
        """No time of it becomes a release until it is resumed, whoever restarts what."""
        platform, found = _found(timetable, kind)
        _show(platform, timetables.hold(platform, found, _actor(), reason), json=json)

    @app.command("resume")
    def resume(timetable: Id, json: Json = False) -> None:
        """It comes again, from its next time on."""
        platform, found = _found(timetable, kind)
        _show(platform, timetables.resume(platform, found), json=json)

    @app.command("remove")
    def remove(timetable: Id, json: Json = False) -> None:
        """It comes no more. Releases that it has made stay."""
        platform, found = _found(timetable, kind)
        timetables.remove(platform, found)
        if json:
            show_json({"id": found.id, "removed": True})
        else:
            out.print(f"[bold]{found.id}[/] comes no more")
            _show_open(timetables.view(platform, found).open)


def _show(platform: Platform, timetable: Timetable, *, json: bool) -> None:
    view = timetables.view(platform, timetable)
    if json:
        show_json(view)
        return
    out.print(f"[bold]{view.id}[/] {escape(view.path)}")
    show_facts(
        [
            ("calendar", view.calendar),
            *([("cut-off", f"{view.cutoff / 60:g} min before")] if view.kind == "promotion" else []),
            ("latest start", f"{view.window / 60:g} min after"),
            ("when late", view.late),
            *([("held", view.held)] if view.held else []),
            *(("next", each) for each in view.next),
        ]
    )
    _show_open(view.open)


def _show_open(releases: Sequence[str]) -> None:
    """Those are held, or cancelled, each by itself."""
    for each in releases:
        out.print(f"  [yellow]![/] release {escape(each)} is there already, and stays")


def _show_all(views: Sequence[TimetableView]) -> None:
    show_table(
        ("id", "path", "calendar", "next", "when late", "held", "by"),
        [
            (
                each.id,
                each.path,
                each.calendar,
                "\n".join(each.next),
                each.late,
                each.held or "",
                each.author,
            )
            for each in views
        ],
    )


def _found(timetable: str, kind: Kind) -> tuple[Platform, Timetable]:
    platform = open_platform()
    return platform, platform.store.timetables.get(timetable, kind)


def _actor() -> str:
    return os.environ.get("BRANCHLINE_ACTOR") or getpass.getuser()
