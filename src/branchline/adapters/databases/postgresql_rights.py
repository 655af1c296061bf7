"""Whether an account of a PostgreSQL server could write, by whatever it has been granted or could make itself."""

# ruff: noqa: S608 - nothing but constants in them

from __future__ import annotations

from collections.abc import Sequence

from branchline.adapters.databases.postgresql_connection import Connection, scrubbed

_COULD_BE = "pg_has_role(current_user, r.oid, 'MEMBER')"
"""Roles whose rights it has, or takes with SET ROLE."""
_FINDINGS = {
    "it is a superuser": f"SELECT '' FROM pg_roles r WHERE r.rolsuper AND {_COULD_BE} LIMIT 1",
    "it may create databases": f"SELECT '' FROM pg_roles r WHERE r.rolcreatedb AND {_COULD_BE} LIMIT 1",
    "it may create roles": f"SELECT '' FROM pg_roles r WHERE r.rolcreaterole AND {_COULD_BE} LIMIT 1",
    "it is a member of": f"""
        SELECT r.rolname FROM pg_roles r WHERE {_COULD_BE}
        AND r.rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
        AND NOT EXISTS (SELECT FROM pg_roles s WHERE s.rolname = current_user AND s.rolsuper) ORDER BY 1 LIMIT 1""",
    "it owns the database": f"""
        SELECT '' FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
        WHERE d.datname = current_database() AND {_COULD_BE}""",
    "it may create schemas in the database": f"""
        SELECT '' FROM pg_roles r WHERE {_COULD_BE} AND has_database_privilege(r.oid, current_database(), 'CREATE') LIMIT 1""",
    "it owns or may create in the schema": f"""
        SELECT n.nspname FROM pg_namespace n, pg_roles r WHERE {_COULD_BE} AND n.nspname !~ '^pg_(toast|temp)'
        AND (n.nspowner = r.oid OR has_schema_privilege(r.oid, n.oid, 'CREATE')) ORDER BY 1 LIMIT 1""",
    "it owns": f"""
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE {_COULD_BE} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') ORDER BY 1 LIMIT 1""",
    "it may write to": f"""
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
        WHERE {_COULD_BE} AND c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname !~ '^pg_(toast|temp)'
        AND (has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
             OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE')) ORDER BY 1 LIMIT 1""",
    "it may advance the sequence": f"""
        SELECT c.oid::regclass::text FROM pg_class c, pg_roles r
        WHERE {_COULD_BE} AND c.relkind = 'S' AND has_sequence_privilege(r.oid, c.oid, 'USAGE, UPDATE') ORDER BY 1 LIMIT 1""",
}


def writing_rights(connection: Connection) -> Sequence[str]:
    """By what this connection's account could write in its database, in words; empty where it can only read.

    A server in recovery writes for nobody. Functions that run with their owner's rights are not looked into.
    """
    with scrubbed("asking what the account may do"):
        (recovering,) = connection.execute("SELECT pg_is_in_recovery()").fetchone() or (False,)
        if recovering:
            return ()
        found = {words: connection.execute(sql).fetchone() for words, sql in _FINDINGS.items()}
    return [f"{words} {row[0]}".strip() for words, row in found.items() if row is not None]
