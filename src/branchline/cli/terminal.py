"""What a terminal shows: steps as they happen, tables, errors; or JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from branchline.errors import BranchlineError
from branchline.operation import progress

WIDTH_IN_A_FILE = 160


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=WIDTH_IN_A_FILE)


out = _console(stderr=False)
err = _console(stderr=True)

COLOURS = {
    "success": "green",
    "passed": "green",
    "held": "red",
    "overridden": "yellow",
    "active": "green",
    "skipped": "yellow",
    "inactive": "dim",
    "failure": "red",
    "refused": "red",
    "in progress": "cyan",
    "raw": "red",
    "sanitized": "green",
}


def show_json(value: Any) -> None:
    """On standard output, for machines."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def show_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Labels and values, one below the other."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(escape(label), _cell(value))
    out.print(table)


def show_error(error: BranchlineError) -> None:
    """One sentence, the reason, the next command, and the number that docs/errors.md explains."""
    err.print(f"[bold red]error[/] {escape(error.message)} [dim]\\[B{error.number}][/]")
    if error.hint:
        err.print(f"  [bold]next:[/] {escape(error.hint)}")


def say_cancelled() -> None:
    """Whatever was begun ends by itself; here is where to see how."""
    with suppress(OSError):
        err.print("[yellow]cancelled[/]: what was begun is undone, or finished behind the switch")
        err.print("  [bold]next:[/] branchline activity list")


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """A sign of life on a terminal, for what may take more than two seconds and has no steps."""
    if quiet or not err.is_terminal:
        yield
        return
    with err.status(escape(what)):
        yield


@contextmanager
def steps_shown(*, quiet: bool) -> Iterator[None]:
    """Each step with a sign of life while it runs and a line when it has ended; nothing with `quiet`."""
    if quiet:
        yield
        return
    handler = _Steps()
    level = progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    progress.propagate = False
    try:
        yield
    finally:
        handler.end()
        progress.removeHandler(handler)
        progress.setLevel(level)


class _Steps(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self._status: Status | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """A terminal that went away must not end what it watched."""
        with suppress(OSError):
            self._show(record)

    def _show(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", "")
        text = escape(record.getMessage())
        if event == "begun":
            self.end()
            if err.is_terminal:
                self._status = err.status(text)
                self._status.start()
        elif event == "progress" and self._status is not None:
            self._status.update(text)
        elif event == "line":
            err.print(f"    [dim]{text}[/]")
        elif event == "warning":
            err.print(f"  [yellow]![/] {text}")
        elif event in ("done", "failed"):
            self.end()
            sign = "[green]✓[/]" if event == "done" else "[red]✗[/]"
            detail = escape(getattr(record, "detail", "") if event == "done" else "")
            err.print(f"  {sign} {text}  [dim]{detail} {getattr(record, 'seconds', 0.0):.1f} s[/]")

    def end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def ago(then: datetime, now: datetime) -> str:
    """In the largest unit that fits."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _cell(value: Any) -> str:
    text = escape("-" if value is None else str(value))
    colour = COLOURS.get(str(value).split(",")[0])
    return f"[{colour}]{text}[/]" if colour else text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value
