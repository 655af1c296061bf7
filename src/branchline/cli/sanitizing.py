"""Policies: draft one, check one, see masked rows."""

from __future__ import annotations

import typer

app = typer.Typer(help="Sanitization policies: what happens to each column and file.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Policies."""
