"""The command line: thin. A command checks nothing that its flow or step does not check too."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import typer

from branchline.cli import activities, operations, projects, sanitizing, variables
from branchline.cli.terminal import show_error
from branchline.errors import BranchlineError, Failed

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
app.add_typer(activities.app, name="activity")
app.add_typer(sanitizing.app, name="sanitize")
app.add_typer(variables.app, name="variable")


@app.callback()
def _options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    if debug:
        os.environ["BRANCHLINE_DEBUG"] = "1"


def main() -> None:
    """Exit codes: 0 done or skipped, 1 failed (nothing changed), 2 bad input, 3 refused by a rule, 4 busy."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except BranchlineError as error:
        if os.environ.get("BRANCHLINE_DEBUG"):
            raise
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("BRANCHLINE_DEBUG"):
            raise
        show_error(
            Failed(
                399,
                f"Something unforeseen happened: {type(error).__name__}: {error}",
                "run it again with --debug, and report what it says",
            )
        )
        sys.exit(Failed.exit_code)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
