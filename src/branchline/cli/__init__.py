"""The command line: thin. A command checks nothing that its flow or step does not check too."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import typer

from branchline.cli import (
    activities,
    ci,
    operations,
    people,
    projects,
    pushes,
    releases,
    sanitizing,
    server,
    timetables,
    variables,
)
from branchline.cli.terminal import say_cancelled, show_error
from branchline.errors import BranchlineError, Failed

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

app = typer.Typer(
    name="branchline",
    help="An environment per Git branch: build once, promote the same artifact, refresh Staging with sanitized data.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
projects.add_to(app)
operations.add_to(app)
server.add_to(app)
app.add_typer(activities.app, name="activity")
app.add_typer(ci.app, name="ci")
app.add_typer(people.app, name="person")
app.add_typer(pushes.app, name="push")
app.add_typer(releases.app, name="release")
app.add_typer(sanitizing.app, name="sanitize")
app.add_typer(variables.app, name="variable")
timetables.add_to(app)


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    if debug:
        os.environ["BRANCHLINE_DEBUG"] = "1"


def main() -> None:
    """Exit codes: 0 done or skipped, 1 failed (nothing changed), 2 bad input, 3 refused by a rule, 4 busy."""
    for ending in ENDING:
        signal.signal(ending, _end)
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """One command, given as its words; the exit code. An error is shown in one sentence, its traceback with --debug."""
    try:
        app(list(words))
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except BranchlineError as error:
        _raise_for_debugging()
        show_error(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last one to catch it: a person sees a sentence
        _raise_for_debugging()
        unforeseen = f"Something unforeseen happened: {type(error).__name__}: {error}"
        show_error(Failed(399, unforeseen, "run it again with --debug, and report what it says"))
        return Failed.exit_code
    return 0


def _raise_for_debugging() -> None:
    if os.environ.get("BRANCHLINE_DEBUG"):
        raise  # noqa: PLE0704 - called where an exception is handled


def _end(number: int, _frame: FrameType | None) -> None:
    """The first one ends the operation, which undoes or finishes; a second one does not cut that short."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    say_cancelled()
    sys.exit(128 + number)
