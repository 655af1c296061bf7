"""Command check of a candidate: its schema, its references, its built files."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

from store import assets, database, health


def problems() -> list[str]:
    found = []
    with closing(database.connect()) as shop:
        if trouble := health.problem(shop):
            found.append(trouble)
        found += [
            f"{row[0]}: row {row[1]} refers to a missing {row[2]}"
            for row in shop.execute("PRAGMA foreign_key_check")
        ]
    found += [f"{name} was not built" for name in assets.missing()]
    return found


if __name__ == "__main__":
    try:
        trouble = problems()
    except sqlite3.Error as error:
        sys.exit(f"the database does not answer: {error}")
    if trouble:
        sys.exit("\n".join(trouble))
    print("ok")
