"""Projects and what they run: init, status; and putting right what was cut short: recover, unlock."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer
from rich.markup import escape

from branchline.cli.operations import Environment, Json, start
from branchline.cli.terminal import ago, out, show_json, show_table, working
from branchline.steps.projects import EnvironmentStatus, init_project, status_of
from branchline.steps.promote import environment_at
from branchline.steps.running import in_words, what_runs
from branchline.wiring import open_platform


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(init)
    app.command()(status)
    app.command()(recover)
    app.command()(unlock)


def init(
    project: Annotated[str, typer.Argument(help="The project's name: a-z 0-9 and -.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="URL-OR-PATH", help="A repository to begin with.")
    ] = None,
    plan: Annotated[str, typer.Option("--plan", help="A plan of config/plans.yaml.")] = "pro",
    json: Json = False,
) -> None:
    """Make a project: its bare Git repository, and an environment for each branch the plan names."""
    with working("making the repository", quiet=json):
        made = init_project(open_platform(), project, plan, source)
    if json:
        show_json({"project": made.project.name, "repository": made.repository, "branches": made.branches})
        return
    out.print(
        f"[bold green]made[/] project {escape(made.project.name)} with the plan {escape(made.project.plan)}"
    )
    out.print(f"  push to    {escape(str(made.repository))}", soft_wrap=True)
    for warning in made.warnings:
        out.print(f"  [yellow]![/] {escape(warning)}", soft_wrap=True)
    first = made.branches[0] if made.branches else "BRANCH"
    out.print(f"  then run   branchline deploy {escape(made.project.name)}/{escape(first)}")


def status(
    project: Annotated[
        str | None, typer.Argument(help="A project, or project/environment; without it, all.")
    ] = None,
    json: Json = False,
) -> None:
    """Every environment: what it runs, since when, and where its data come from."""
    platform = open_platform()
    rows = status_of(platform, project)
    running = what_runs(platform)
    if json:
        show_json(
            {
                "sandbox": platform.sandbox.kind,
                "home": platform.layout.home,
                "running": running,
                "environments": rows,
            }
        )
        return
    if not rows:
        out.print("no environments yet; make a project: branchline init NAME --from REPOSITORY")
    else:
        now = platform.clock()
        show_table(
            ("environment", "tier", "status", "commit", "artifact", "deployed", "data", "last activity"),
            [_row(row, now) for row in rows],
        )
        if len(rows) == 1:
            show_table(
                ("deployment", "kind", "artifact", "commit", "deployed"),
                [
                    (each.id, each.kind, each.artifact, each.commit, ago(each.at, now))
                    for each in rows[0].deployments
                ],
                title="\ndeployments that can be rolled back to",
            )
    for line in in_words(running, platform.clock()):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    confined = (
        ""
        if platform.sandbox.kind == "bubblewrap"
        else " (builds and hooks run unconfined: apt-get install bubblewrap)"
    )
    out.print(
        f"[dim]sandbox: {platform.sandbox.kind}{confined}; home: {escape(str(platform.layout.home))}[/]",
        soft_wrap=True,
    )


def recover(json: Json = False) -> None:
    """End what dead processes of this host left behind: finished behind the switch, removed before it."""
    start("recover_operations", {}, json=json)


def unlock(
    environment: Environment,
    reason: Annotated[str, typer.Option("--reason", help="Why what holds it may be ended.", prompt=True)],
    json: Json = False,
) -> None:
    """End whatever holds an environment, alive or not. Seldom needed: dead processes are ended by themselves."""
    platform = open_platform()
    found = environment_at(platform, environment)
    ended = platform.operations.unlock(found.resource, reason, actor=getpass.getuser())
    if json:
        show_json(ended)
    elif not ended:
        out.print(f"nothing holds {escape(found.path)}")
    for activity in ended if not json else ():
        out.print(f"ended {activity.kind} {activity.id}: {activity.outcome}")


def _row(row: EnvironmentStatus, now: Any) -> tuple[Any, ...]:
    return (
        row.environment,
        row.tier,
        row.status + (", held" if row.held else ""),
        row.commit,
        row.artifact,
        f"{ago(row.deployed_at, now)} ago" if row.deployed_at else None,
        row.data,
        row.last_activity,
    )
