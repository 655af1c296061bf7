"""Saying yes or no to a release: signed and sent in one command, or signed elsewhere."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Json
from branchline.cli.people import text_of
from branchline.cli.terminal import out, show_json, steps_shown
from branchline.domain.release import Decision, statement
from branchline.errors import BadInput
from branchline.platform import Platform
from branchline.steps import approvals
from branchline.wiring import open_platform

KEYS = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_rsa")
"""In ~/.ssh, in the order in which one is looked for."""
Id = Annotated[str, typer.Argument(help="The beginning of a release's id.", metavar="RELEASE")]
Reject = Annotated[bool, typer.Option("--reject", help="Say no: it does not run.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("approve")(approve)
    app.command("statement")(show_statement)


def approve(
    release: Id,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Who you are; without it, your user's name here."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="Your private key, or the public half of one in ssh-agent; without it, the one in ~/.ssh.",
        ),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            "--signature", metavar="FILE", help="A signature of the statement, made elsewhere; - reads it."
        ),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Only say so, where the plan accepts that.")
    ] = False,
    comment: Annotated[str, typer.Option("--comment", metavar="WHY", help="Shown with the release.")] = "",
    reject: Reject = False,
    json: Json = False,
) -> None:
    """Sign what the release carries, where and when, and send it. Whoever changes the release voids that."""
    from branchline.launch import run_flow  # noqa: PLC0415 - Prefect takes a second to import; a passphrase first

    platform = open_platform()
    decision: Decision = "reject" if reject else "approve"
    found = platform.store.releases.get(release)
    sent = {
        "release": found.id,
        "decision": decision,
        "name": name or os.environ.get("BRANCHLINE_ACTOR") or getpass.getuser(),
        "comment": comment or None,
        "signature": None if unsigned else _signature(platform, found.id, decision, key, signature),
    }
    with steps_shown(quiet=json):
        approval = run_flow("approve_release", sent)
    if json:
        show_json(approval)
        return
    out.print(f"[bold green]done[/] {escape(approvals.in_words(platform, approval))}")
    for each in approvals.given(platform, platform.store.releases.get(found.id)):
        worth = (
            f"does not count: {each.problem}" if each.problem else "signed" if each.signed else "not signed"
        )
        out.print(f"  {escape(each.person)}: {each.decision} [dim]({escape(worth)})[/]")
    out.print(f"  [dim]next: branchline release show {found.id}[/]")


def show_statement(release: Id, reject: Reject = False) -> None:
    """Print exactly what an approval is signed over: pipe it into ssh-keygen -Y sign -n branchline -f KEY."""
    found = open_platform().store.releases.get(release)
    sys.stdout.write(statement(found, "reject" if reject else "approve"))


def _signature(
    platform: Platform, release: str, decision: Decision, key: Path | None, made_elsewhere: str | None
) -> str:
    if made_elsewhere is not None:
        return text_of(made_elsewhere)
    path = (key or _own_key()).expanduser()
    if not path.is_file():
        raise BadInput(
            277, f"There is no key {path}.", "name one with --key; or --unsigned, where the plan accepts that"
        )
    return platform.signatures.sign(statement(platform.store.releases.get(release), decision), path)


def _own_key() -> Path:
    directory = Path.home() / ".ssh"
    return next((directory / each for each in KEYS if (directory / each).is_file()), directory / KEYS[0])
