"""What a database sets for its sessions by ALTER DATABASE ... SET: neither pg_dump of one database nor CREATE DATABASE ... TEMPLATE takes it along.

Only what decides what a statement means or gives; what a database sets for its server's health or for its secrets stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from branchline.adapters.databases.postgresql_connection import Connection, identifier, literal

CARRIED = (
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "datestyle",
    "default_text_search_config",
    "extra_float_digits",
    "intervalstyle",
    "search_path",
    "standard_conforming_strings",
    "timezone",
    "xmlbinary",
    "xmloption",
)
DEFAULTS = """
SELECT lower(split_part(each, '=', 1)), substr(each, strpos(each, '=') + 1)
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) each
WHERE s.setrole = 0 AND d.datname = coalesce(%s, current_database()) AND lower(split_part(each, '=', 1)) = ANY(%s) ORDER BY 1"""
"""Asked with a database's name, or NULL for the own one, and `CARRIED`: names and values."""


def set_defaults(connection: Connection, database: str, defaults: Iterable[tuple[str, str]]) -> None:
    """The search path is kept as SQL already, a list of names in quotes, but for the empty one."""
    for name, value in defaults:
        written = literal(value)
        if name == "search_path":
            written = value if value.strip('"') else literal("")
        connection.execute(f"ALTER DATABASE {identifier(database)} SET {name} = {written}")
