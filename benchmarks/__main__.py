"""Runs all benchmarks, or those named, and prints one table: `python -m benchmarks [archive flows promotion push steps sync]`."""

import importlib
import sys

from rich.console import Console
from rich.table import Table

ALL = ("archive", "flows", "promotion", "push", "steps", "sync")


def main(names: tuple[str, ...]) -> None:
    console = Console()
    table = Table(title="ours / reference, same machine, same run", title_justify="left")
    for column in ("benchmark", "job", "against", "ratio", "at most"):
        table.add_column(column)
    for name in names:
        with console.status(f"{name} is measured"):
            rows = importlib.import_module(f"benchmarks.{name}").measure()
        for row in rows:
            bound = row.get("at_most")
            sign = (
                ""
                if bound is None
                else (" [green]✓[/]" if float(row["ratio"]) <= float(bound) else " [red]✗[/]")
            )
            table.add_row(
                name,
                row["job"],
                row["against"],
                f"{row['ratio']:g}x",
                "-" if bound is None else f"{bound:g}x{sign}",
            )
    console.print(table)


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or ALL)
