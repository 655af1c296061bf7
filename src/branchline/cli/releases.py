"""Timed releases: created, shown, moved, held, cancelled, run."""

from __future__ import annotations

import getpass
import os
from typing import Annotated, Any

import typer
from rich.markup import escape

from branchline.cli import approvals
from branchline.cli.operations import DryRun, Json, show_preview, show_summary
from branchline.cli.terminal import out, show_facts, show_json, show_table, steps_shown, working
from branchline.domain.environment import short_digest
from branchline.domain.release import OPEN, Release
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.steps.preview import Preview
from branchline.steps.releases import creating, listing
from branchline.wiring import open_platform

app = typer.Typer(
    help="Promotions that are pinned now and run at a time, once their gates are open.", no_args_is_help=True
)
approvals.add_to(app)

Id = Annotated[str, typer.Argument(help="The beginning of a release's id.", metavar="RELEASE")]
At = Annotated[
    str,
    typer.Option(
        "--at", metavar="TIME", help='A local time: "2026-12-01 14:00 Europe/Berlin", "tomorrow 14:00".'
    ),
]
Zone = Annotated[str | None, typer.Option("--zone", help="The time zone, when the time names none.")]
Why = Annotated[str, typer.Option("--reason", metavar="WHY", help="Shown with the release.")]


@app.command()
def create(
    project: Annotated[str, typer.Argument(help="The project.", metavar="PROJECT")],
    tier: Annotated[str, typer.Argument(help="staging or production")],
    at: At,
    zone: Zone = None,
    artifact: Annotated[
        str | None,
        typer.Option(
            "--artifact",
            metavar="DIGEST",
            help="The beginning of the digest of an artifact that ran on the source; without it, what runs there now.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="ENVIRONMENT", help="Where it comes from, where the plan leaves the choice."
        ),
    ] = None,
    window: Annotated[
        str, typer.Option("--window", help="How long after its time it may still start.")
    ] = creating.WINDOW,
    late: Annotated[
        str,
        typer.Option("--late", help="What becomes of one that could not start until then: run, skip or ask."),
    ] = creating.LATE,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Pin an artifact and say when it is promoted. Its gates are asked when it is due."""
    asked = {"project": project, "tier": tier, "at": at, "zone": zone, "artifact": artifact, "source": source}
    made = _flow("create_release", {**asked, "window": window, "late": late, "dry_run": dry_run}, json=json)
    if json:
        show_json(made)
    elif isinstance(made, Preview):
        show_preview(made)
    else:
        _show(made)
        out.print(f"  [dim]next: branchline release show {made.id}[/]")


@app.command("list")
def list_(
    environment: Annotated[str | None, typer.Argument(help="A project, or project/environment.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 50,
    json: Json = False,
) -> None:
    """Open ones by their time; with --all, then those that have ended, the newest first."""
    platform = open_platform()
    project, _, name = (environment or "").partition("/")
    found = platform.store.releases.list(
        project or None, name or None, () if all_ else (*OPEN, "running"), limit
    )
    views = [listing.release_view(platform, each) for each in found]
    if json:
        show_json(views)
        return
    if not views:
        out.print("no release is open" if not all_ else "there are no releases")
        return
    show_table(
        ("release", "what", "path", "due", "state", "approvals", "held", "reason"),
        [
            (
                each.id,
                f"{short_digest(each.artifact)} of {(each.commit or '')[:12]}"
                if each.artifact
                else each.kind,
                f"{each.source} -> {each.environment}",
                each.due,
                each.state,
                each.approvals,
                each.held or "",
                each.reason or "",
            )
            for each in views
        ],
    )


@app.command()
def show(release: Id, json: Json = False) -> None:
    """All of one, with what each of its gates says now."""
    platform = open_platform()
    with working("looking", quiet=json):
        view = listing.release_in_whole(platform, platform.store.releases.get(release))
    if json:
        show_json(view)
    else:
        _show(view)


@app.command()
def schedule(
    release: Id,
    at: At,
    zone: Zone = None,
    window: Annotated[
        str | None,
        typer.Option("--window", help="How long after its time it may still start; else as before."),
    ] = None,
    late: Annotated[str | None, typer.Option("--late", help="run, skip or ask; else as before.")] = None,
    json: Json = False,
) -> None:
    """Move it to another time. Approvals that it was given are void."""
    platform, found = _found(release)
    moved = creating.move_release(platform, found, at, zone=zone, window=window, late=late)
    _changed(platform, moved, json=json)


@app.command()
def hold(release: Id, reason: Why, json: Json = False) -> None:
    """Keep it from running until it is resumed, whoever restarts what."""
    platform, found = _found(release)
    _changed(platform, creating.hold_release(platform, found, _actor(), reason), json=json)


@app.command()
def resume(release: Id, json: Json = False) -> None:
    """Let it run again. When its latest start is over, its policy for being late decides."""
    platform, found = _found(release)
    _changed(platform, creating.resume_release(platform, found, _actor()), json=json)


@app.command()
def cancel(release: Id, reason: Why, json: Json = False) -> None:
    """It never runs."""
    platform, found = _found(release)
    _changed(platform, creating.cancel_release(platform, found, _actor(), reason), json=json)


@app.command()
def run(
    release: Annotated[
        str | None, typer.Argument(help="The beginning of a release's id.", metavar="[RELEASE]")
    ] = None,
    due: Annotated[
        bool, typer.Option("--due", help="All that is due, everywhere; for cron, without a server.")
    ] = False,
    environment: Annotated[
        str | None,
        typer.Option("--on", metavar="PROJECT/ENVIRONMENT", help="With --due: on this one only."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GATE", help="Go through this gate although it is closed."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="WHY", help="Why; needed with --override.")
    ] = None,
    json: Json = False,
) -> None:
    """Run one now, whatever its time: also the answer to one that asks. Or all that is due."""
    if due == (release is not None):
        raise BadInput(
            255,
            "Either one release is run now, or all that is due.",
            "branchline release run RELEASE, or --due",
        )
    asked = {"release": release, "environment": environment, "override": override or [], "reason": reason}
    ended = _flow("run_release", asked, json=json)
    if json:
        show_json(ended)
    elif not ended:
        out.print("nothing is due")
    else:
        for summary in ended:
            show_summary(summary)


def _flow(file: str, parameters: dict[str, Any], *, json: bool) -> Any:
    from branchline.launch import run_flow  # noqa: PLC0415 - Prefect takes a second to import; `list` need not wait

    with steps_shown(quiet=json):
        return run_flow(file, parameters)


def _found(release: str) -> tuple[Platform, Release]:
    platform = open_platform()
    return platform, platform.store.releases.get(release)


def _changed(platform: Platform, release: Release, *, json: bool) -> None:
    view = listing.release_view(platform, release)
    if json:
        show_json(view)
    else:
        _show(view)


def _show(view: listing.ReleaseView) -> None:
    out.print(f"[bold]{escape(view.sentence)}[/]")
    show_facts(listing.facts_of(view))
    if view.gates:
        show_table(
            ("gate", "now", ""),
            [(each.gate, each.state, each.reason) for each in view.gates],
            "\nits gates now",
        )
    for each in view.against:
        out.print(f"[red]against it:[/] {escape(each)}")


def _actor() -> str:
    return os.environ.get("BRANCHLINE_ACTOR") or getpass.getuser()
