"""Keeping Branchline running on a machine: up, down, dispatcher, drain, sweep."""

from __future__ import annotations

import logging
import signal
import sys
import time
from contextlib import suppress
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from branchline.cli.operations import Json
from branchline.cli.terminal import err, out, show_json, steps_shown
from branchline.errors import Unavailable
from branchline.steps.upkeep import in_words
from branchline.wiring import open_platform

if TYPE_CHECKING:
    from branchline.launch.server import Server
    from branchline.launch.up import Ready

# Prefect takes a second to import, so each command imports what launches when it is called.

Pool = Annotated[str, typer.Option("--pool", help="The work pool.")]
Now = Annotated[bool, typer.Option("--now", help="Cancel the runs under way instead of waiting for them.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(dispatcher)
    app.command()(drain)
    app.command()(sweep)


def up(
    host: Annotated[
        str,
        typer.Option("--host", help="Where the server listens; other than loopback, with a password only."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Its port.")] = 4200,
    workers_limit: Annotated[
        int, typer.Option("--workers-limit", min=1, help="How many runs at once on this machine.")
    ] = 4,
    json: Json = False,
) -> None:
    """Start everything on this machine, and keep it running until Ctrl-C: server, flows, worker, dispatcher.

    Joins the Prefect server of PREFECT_API_URL where that is set.
    """
    from branchline.launch.surroundings import Place  # noqa: PLC0415 - see above
    from branchline.launch.up import Up  # noqa: PLC0415 - see above

    started = Up(Place(host, port), workers_limit, _say)
    _on_signals(started.stop, started.hurry)
    started.run(lambda ready: _show_ready(ready, json=json))


def down(now: Now = False) -> None:
    """Stop what `up` has started here: runs under way come to their end first."""
    from branchline.launch.down import bring_down  # noqa: PLC0415 - see above

    record = bring_down(open_platform(), _say, now=now)
    out.print("down" if record else "nothing was up")


def dispatcher() -> None:
    """Carry pushes, releases and news from the state to the Prefect server and outside. `up` starts one."""
    from branchline.launch import dispatcher as dispatching  # noqa: PLC0415 - see above

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("branchline").setLevel(logging.INFO)
    stop = Event()
    _on_signals(stop)
    dispatching.run(open_platform(), _server(), stop)


def drain(
    pool: Pool = "branchline",
    now: Now = False,
    no_pause: Annotated[
        bool, typer.Option("--this-machine", help="Only this machine's runs; the pool goes on elsewhere.")
    ] = False,
) -> None:
    """Before a worker is stopped: no new runs, wait for those under way, then cancel the rest."""
    from branchline.launch.drain import drain as let_end  # noqa: PLC0415 - see above

    hurry = Event()
    _on_signals(hurry)
    platform = open_platform()
    left = let_end(
        _server(),
        pool,
        0.0 if now else platform.settings.drain,
        _say,
        hurry,
        worker=platform.operations.processes.this().host if no_pause else None,
        pausing=not no_pause,
    )
    for run in left:
        _say(f"still under way: {run}")
    out.print(f"{pool} is drained" + ("" if no_pause else f"; prefect work-pool resume {escape(pool)}"))


def sweep(
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what nothing needs any more too, without waiting for its day."),
    ] = False,
    json: Json = False,
) -> None:
    """Close what died without a word on this machine: Prefect runs whose process is gone, operations that nobody runs."""
    from branchline.launch import run_flow  # noqa: PLC0415 - see above

    with steps_shown(quiet=json):
        swept = run_flow("sweep_operations", {"prune": prune})
    if json:
        show_json(swept)
        return
    out.print(in_words(swept))
    for what in (*swept.runs, *swept.activities, *swept.removed):
        out.print(f"  {escape(what)}")


def _show_ready(ready: Ready, *, json: bool) -> None:
    if json:
        show_json(ready)
        sys.stdout.flush()
        return
    out.print(f"[bold green]up[/] [dim]{ready.seconds:.0f} s[/]")
    out.print(f"  UI    {escape(ready.ui)}")
    for name, repository in ready.projects:
        out.print(
            f"  push  git remote add branchline {escape(str(repository))}"
            f" && git push branchline BRANCH  [dim]{escape(name)}[/]",
            soft_wrap=True,
        )
    if not ready.projects:
        out.print("  first branchline init NAME --from REPOSITORY")
    out.print("  stop  Ctrl-C, or branchline down", end="\n\n")
    sys.stdout.flush()


def _server() -> Server:
    from branchline.launch.server import connect  # noqa: PLC0415 - see above

    server = connect()
    if server is None:
        raise Unavailable(
            350,
            "No Prefect server was named.",
            "branchline up starts one; or export PREFECT_API_URL=http://its-host:4200/api",
        )
    return server


def _on_signals(*events: Event) -> None:
    """The first signal sets the first event, the next one the next. Nothing is cut short."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        for event in events:
            if not event.is_set():
                event.set()
                return

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, handle)


def _say(what: str) -> None:
    """A terminal that went away does not end what it watched."""
    with suppress(OSError):
        err.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {escape(what)}", soft_wrap=True)
