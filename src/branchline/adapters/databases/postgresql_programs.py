"""PostgreSQL's client programs: which is there, and how a psql is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from subprocess import DEVNULL
from typing import IO

from branchline.adapters.databases.clients import Client
from branchline.adapters.databases.postgresql_connection import PostgresqlServer
from branchline.errors import Failed

WRITTEN_AT_ONCE = 2**18
LONGEST_ARGUMENT = 30_000
"""Linux takes 128 KiB, and a character has up to four bytes."""


def psql(
    server: PostgresqlServer,
    database: str,
    settings: Mapping[str, str],
    commands: Sequence[str],
    *,
    script: IO[bytes] | None = None,
    stdout: int = DEVNULL,
) -> Client:
    """A psql with these commands, and then those of a script, that ends at the first that fails, and then says its SQLSTATE
    only.
    """
    given = [part for command in commands for part in ("-c", command)]
    if script is not None:
        given += ["-f", "-"]
    options = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=sqlstate"]
    return Client(
        [*_buffered(), program("psql"), *options, *given],
        server.environment(database, settings),
        stdin=DEVNULL if script is None else script,
        stdout=stdout,
    )


@cache
def _buffered() -> Sequence[str]:
    """What has a program write in large pieces. psql's own are 4 KiB, and with them it and its reader took 38 ms of processor time for
    100,000 rows of customers, with these 23. Programs of other systems than GNU's go without.
    """
    which = shutil.which("stdbuf")
    return [which, f"--output={WRITTEN_AT_ONCE}"] if which else []


@contextmanager
def script(command: str) -> Iterator[IO[bytes] | None]:
    """A command that is too long for a command line, in memory; None for one that is not."""
    if len(command) < LONGEST_ARGUMENT:
        yield None
        return
    with os.fdopen(os.memfd_create("branchline command"), "w+b") as script:
        script.write(f"{command};\n".encode())
        script.seek(0)
        yield script


@cache
def program(name: str) -> str:
    """A client program of PostgreSQL: the newest that is installed. Raises Failed when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    which = str(found[-1]) if found else shutil.which(name)
    if which is None:
        raise Failed(
            526,
            f"PostgreSQL's {name} is not installed here.",
            "Install them: apt-get install postgresql-client.",
        )
    return which
