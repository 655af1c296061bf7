"""A Production of MariaDB or MySQL that Branchline did not make, and syncs of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from branchline.adapters.databases.mysql_connection import MysqlServer
from branchline.adapters.databases.mysql_snapshot import opened
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.mysql import MysqlBench, Server


@contextmanager
def production(
    server: Server, script: str, rights: str = "SELECT, SHOW VIEW"
) -> Iterator[tuple[str, MysqlServer]]:
    """A database that Branchline did not make, and an account with these rights on it."""
    with server.database() as name:
        server.execute(script, name)
        server.execute(f"CREATE USER {name} IDENTIFIED BY 'pass';\nGRANT {rights} ON {name}.* TO {name};")
        try:
            yield name, replace(server.admin, user=name, password="pass")
        finally:
            server.execute(f"DROP USER {name}")


def kept(server: Server, database: str) -> str:
    """A policy that keeps every column of every table."""
    rows = server.read(
        "SELECT TABLE_NAME, GROUP_CONCAT('\"', COLUMN_NAME, '\": keep' SEPARATOR ', ') FROM information_schema.COLUMNS"
        " JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME)"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' AND IFNULL(GENERATION_EXPRESSION, '') = '' GROUP BY 1",
        database,
    )
    return "tables: {" + ", ".join(f"{table}: {{columns: {{{columns}}}}}" for table, columns in rows) + "}"


def checksums(server: Server, database: str) -> dict[str, str]:
    """One number per column of every table, and whatever else there is to compare."""
    found = {}
    with server.connected(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
        )
        for table, column in cursor.fetchall():
            value = f"CAST(`{column}` AS BINARY)"
            cursor.execute(
                f"SELECT COUNT(*), COUNT(`{column}`), SUM(CRC32({value})), BIT_XOR(CAST(CONV(LEFT(SHA2({value}, 256), 16), 16, 10) AS UNSIGNED)) FROM `{table}`"
            )
            found[f"{table}.{column}"] = str(cursor.fetchone())
    return found


def sync(bench: MysqlBench, source: MysqlServer, database: str, policy: str, **options: object):
    bench.database.create("copy")
    with opened(source, database, 2) as snapshot, bench.database.loader("copy") as loader:
        return replicate(snapshot, loader, read_policy(policy), **options), snapshot.notes


def lines(created: str) -> list[str]:
    """Of a definition, in no order; MySQL says a table's own character set again where it was told it."""
    return sorted(re.sub(",(?=\n)| CHARACTER SET utf8mb4", "", created).split("\n"))
