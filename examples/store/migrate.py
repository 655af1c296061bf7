"""Deploy hook: brings the database to this code's schema. Does nothing when it is there already."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from store import database, search


def migrate(connection: sqlite3.Connection) -> None:
    """Applies what is missing, each migration in a transaction together with its number."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL)"
    )
    for version, file in database.migrations():
        if version <= database.schema_version(connection):
            continue
        print(f"migration {file.stem}")
        apply(connection, version, file.stem, file.read_text(encoding="utf-8"))
    search.reindex(connection)


def apply(connection: sqlite3.Connection, version: int, name: str, sql: str) -> None:
    # executescript commits whatever is open before it starts, so the transaction is part of the script
    record = f"INSERT INTO schema_version (version, name) VALUES ({version}, '{name}');"
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{record}\nCOMMIT;")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise SystemExit(f"migration {name} failed and was rolled back: {error}") from error


if __name__ == "__main__":
    with closing(database.connect(create=True)) as shop:
        migrate(shop)
        print(f"schema {database.schema_version(shop)}")
