"""People, and the public keys by which they sign approvals. Whoever may run this decides who may approve."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Json
from branchline.cli.terminal import out, show_json, show_table
from branchline.domain.person import MOST_CHARACTERS, Person
from branchline.errors import BadInput
from branchline.steps.people import add_person, revoke_key
from branchline.wiring import open_platform

app = typer.Typer(help="People who approve releases, and the SSH keys they sign with.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The person's name, as in `release approve --as`.", metavar="NAME")]


@app.command()
def add(
    name: Name,
    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="A public key, such as id_ed25519.pub; - reads it.")
    ],
    json: Json = False,
) -> None:
    """Register a public key for a person; for a new name, the person too."""
    _show(add_person(open_platform(), name, text_of(key)), json=json)


@app.command("list")
def list_(json: Json = False) -> None:
    """Everybody, with their keys."""
    people = open_platform().store.people.all()
    if json:
        show_json(people)
        return
    if not people:
        out.print("nobody yet; branchline person add NAME --key FILE")
        return
    show_table(
        ("person", "key", "type", "since", "revoked"),
        [
            (
                person.name,
                key.fingerprint,
                key.public_key.partition(" ")[0],
                f"{key.created_at:%Y-%m-%d}",
                f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else "",
            )
            for person in people
            for key in person.keys
        ],
    )


@app.command()
def revoke(
    name: Name,
    fingerprint: Annotated[
        str, typer.Argument(help="The key's, as `person list` shows it.", metavar="FINGERPRINT")
    ],
    json: Json = False,
) -> None:
    """Take a key away for good: what was signed with it does not count any more."""
    _show(revoke_key(open_platform(), name, fingerprint), json=json)


def _show(person: Person, *, json: bool) -> None:
    if json:
        show_json(person)
        return
    out.print(f"[bold green]{escape(person.name)}[/] signs with")
    for key in person.valid_keys:
        out.print(f"  {escape(key.fingerprint)}  [dim]{escape(key.public_key.partition(' ')[0])}[/]")
    if not person.valid_keys:
        out.print("  no key any more")


def text_of(place: str) -> str:
    """What a file holds, or with - what standard input gives. Raises BadInput where it cannot be read."""
    try:
        if place == "-":
            return sys.stdin.read(MOST_CHARACTERS + 1)
        with Path(place).expanduser().open() as file:
            return file.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInput(
            277, f"{place} cannot be read: {why}.", "name a file that is there, or - for standard input"
        ) from None
