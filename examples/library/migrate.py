"""Deploy hook: brings the database to this code's schema, each migration in a transaction together with its number."""

from __future__ import annotations

import library

with library.connect() as connection:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, name text NOT NULL)"
    )
    for version, file in library.migrations():
        if version > library.schema_version(connection):
            with connection.transaction():
                connection.execute(file.read_text(encoding="utf-8"))
                connection.execute("INSERT INTO schema_version VALUES (%s, %s)", (version, file.stem))
            print(f"migration {file.stem}")
    print(f"schema {library.schema_version(connection)}")
