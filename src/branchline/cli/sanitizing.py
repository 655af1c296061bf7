"""Policies: draft one, check one, see what it makes of rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Environment, Json
from branchline.cli.terminal import err, out, show_json, show_table, working
from branchline.config import SANITIZE_FILE
from branchline.errors import Refused
from branchline.steps.promote import environment_at
from branchline.wiring import open_platform

app = typer.Typer(help="Sanitization policies: what happens to each column and file.", no_args_is_help=True)
File = Annotated[
    Path | None,
    typer.Option("--file", help="A sanitize.yaml that you work on; without it, the running commit's."),
]
Ref = Annotated[str | None, typer.Option("--ref", help="Read it from this commit.")]


@app.command()
def suggest(
    environment: Environment,
    extends: Annotated[
        list[str] | None,
        typer.Option(
            "--extends", metavar="PACK", help="Draft only what this pack does not decide; several times."
        ),
    ] = None,
) -> None:
    """Write a first policy from the live schema to standard output: names, types and sampled values are looked at."""
    from branchline.steps.policies import draft_policy  # noqa: PLC0415 - 0.2 s of Polars and NumPy that no other command needs

    platform = open_platform()
    with working("reading the schema and samples"):
        draft = draft_policy(platform, environment_at(platform, environment), extends or ())
    sys.stdout.write(draft)


@app.command()
def check(environment: Environment, file: File = None, ref: Ref = None, json: Json = False) -> None:
    """Compare a policy with the live schema and files: exit code 0 when a sync would run, 3 when not."""
    from branchline.steps.policies import chosen_policy  # noqa: PLC0415 - as above
    from branchline.steps.sync import policy_problems  # noqa: PLC0415 - as above

    platform = open_platform()
    found = environment_at(platform, environment)
    with working("comparing the policy with the live schema and files", quiet=json):
        policy = chosen_policy(platform, found, file, ref)
        problems = policy_problems(platform, found, policy, file.name if file else SANITIZE_FILE)
    if json:
        show_json({"problems": problems})
    elif not problems:
        out.print(f"[green]✓[/] every column and file of {escape(found.path)} has a decision")
    for problem in () if json else problems:
        err.print(f"[red]✗[/] {escape(problem)}", soft_wrap=True)
    if problems:
        raise typer.Exit(Refused.exit_code)


@app.command()
def preview(
    environment: Environment,
    table: Annotated[str | None, typer.Option("--table", help="Only this table.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, max=1000, help="How many of each.")] = 5,
    file: File = None,
    ref: Ref = None,
    json: Json = False,
) -> None:
    """Show the first rows as a sync would write them, what is kept as it is; nothing is changed."""
    from branchline.steps.policies import chosen_policy, preview_rows  # noqa: PLC0415 - as above

    platform = open_platform()
    found = environment_at(platform, environment)
    with working("masking the first rows", quiet=json):
        masked = preview_rows(platform, found, chosen_policy(platform, found, file, ref), table, rows)
    if json:
        show_json(masked)
        return
    for name, lines in masked.items():
        if lines:
            columns = [[column, *(line[column] for line in lines)] for column in lines[0]]
            show_table(["", *(f"row {number}" for number in range(1, len(lines) + 1))], columns, f"\n{name}")
