"""The library's database and its pages."""

from __future__ import annotations

import base64
import html
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

MIGRATIONS = Path(__file__).with_name("migrations")


def connect() -> psycopg.Connection[Any]:
    """To the database that Branchline tells, or by hand to the one that LIBRARY_DATABASE names."""
    told = os.environ.get("BRANCHLINE_RELATIONSHIPS")
    if told is None:
        return psycopg.connect(os.environ["LIBRARY_DATABASE"], autocommit=True)
    (database,) = json.loads(base64.b64decode(told))["database"]
    return psycopg.connect(
        host=database["host"],
        port=database["port"],
        dbname=database["path"],
        user=database["username"],
        password=database["password"],
        autocommit=True,
    )


def migrations() -> list[tuple[int, Path]]:
    """By number."""
    return [(int(file.name[:4]), file) for file in sorted(MIGRATIONS.glob("*.sql"))]


def schema_version(connection: psycopg.Connection[Any]) -> int:
    """Of the newest migration that was applied; 0 in an empty database."""
    if connection.execute("SELECT to_regclass('schema_version')").fetchone() == (None,):
        return 0
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone() or (0,)
    return int(version)


def problems(connection: psycopg.Connection[Any]) -> list[str]:
    """Why this code cannot work with this database."""
    found, wanted = schema_version(connection), migrations()[-1][0]
    if found != wanted:
        return [f"the schema is {found}, and this code needs {wanted}"]
    return []


def answer(path: str) -> tuple[str, str]:
    """The status line and the page for a path."""
    with connect() as connection:
        if path == "/health":
            trouble = problems(connection)
            return ("503 Service Unavailable", trouble[0]) if trouble else ("200 OK", "ok")
        if path == "/":
            return "200 OK", shelves(connection)
    return "404 Not Found", "There is no such page."


def shelves(connection: psycopg.Connection[Any]) -> str:
    rows = connection.execute(
        "SELECT title, authors, EXISTS (SELECT FROM loans WHERE book = books.id AND state = 'out')"
        " FROM books ORDER BY title LIMIT 100"
    )
    lines = (_line(*row) for row in rows)
    return (
        f"<!doctype html><title>Mill Lane Library</title><h1>Mill Lane Library</h1><ul>{''.join(lines)}</ul>"
    )


def _line(title: str, authors: Iterable[str], out: bool) -> str:
    text = f"{title}, {' and '.join(authors)}{' (out)' if out else ''}"
    return f"<li>{html.escape(text)}</li>"
