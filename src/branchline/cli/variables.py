"""Variables that operators set. A value is read from standard input, so that no shell remembers it."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from branchline.cli.operations import Json
from branchline.cli.terminal import out, show_json, show_table
from branchline.domain.environment import Environment, Project
from branchline.domain.variable import Variable
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.steps.promote import environment_at
from branchline.wiring import open_platform

app = typer.Typer(
    help="Variables of a project or an environment; encrypted in the state database.", no_args_is_help=True
)
Where = Annotated[
    str, typer.Argument(help="A project, or project/environment.", metavar="PROJECT[/ENVIRONMENT]")
]
Name = Annotated[str, typer.Argument(help="The variable's name.")]


@app.command("set")
def set_(
    where: Where,
    name: Name,
    at_build: Annotated[
        bool, typer.Option("--at-build", help="Builds see it, and a new value means a new build.")
    ] = False,
    at_run: Annotated[
        bool, typer.Option("--at-run/--not-at-run", help="Hooks, checks and processes see it.")
    ] = True,
    sensitive: Annotated[bool, typer.Option("--sensitive", help="Its value is never shown again.")] = False,
) -> None:
    """Set it to what standard input gives: `branchline variable set store KEY --sensitive < file`."""
    platform = open_platform()
    project, environment = _level(platform, where)
    if not re.fullmatch(r"(env:)?[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise BadInput(
            345, f"{name!r} is not a variable's name.", "letters, digits and _, not beginning with a digit"
        )
    if sys.stdin.isatty():
        value = typer.prompt(name, hide_input=sensitive)
    else:
        value = sys.stdin.read().removesuffix("\n")
    platform.store.variables.set(project, environment, Variable(name, value, at_build, at_run, sensitive))
    out.print(f"set; it is seen from the next deploy on: branchline deploy {project.name}/ENVIRONMENT")


@app.command("list")
def list_(where: Where, json: Json = False) -> None:
    """What is set there, inherited ones too; sensitive values are hidden."""
    platform = open_platform()
    found = platform.store.variables.of(*_level(platform, where))
    rows = [
        (each.name, "[hidden]" if each.sensitive else each.value, each.at_build, each.at_run)
        for each in found
    ]
    columns = ("name", "value", "at_build", "at_run")
    if json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows)


@app.command()
def delete(where: Where, name: Name) -> None:
    """Remove it."""
    platform = open_platform()
    platform.store.variables.delete(*_level(platform, where), name)


def _level(platform: Platform, where: str) -> tuple[Project, Environment | None]:
    if "/" in where:
        environment = environment_at(platform, where)
        return environment.project, environment
    return platform.store.environments.project(where), None
