"""Branchline's sanitized copy, in a process of its own: `python -m benchmarks.data.sync`, told what to do on its input."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import Any
from unittest.mock import patch

import branchline  # noqa: F401 - before Polars, for which it sets something
from benchmarks.data.commands import run
from benchmarks.data.contender import Job
from benchmarks.data.high_water import high_water
from benchmarks.data.server import Account
from branchline.ports import Loader, Snapshot
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy

COMMAND = (sys.executable, "-m", "benchmarks.data.sync")


@dataclass(frozen=True)
class Branchline:
    """Implements Contender. Its seconds: `all` from opening the source to closing the target, with the pools of invented
    values made anew; `prove` is the part of the final scan; `process` is all of the process, Python's start included.
    Without `statistics`, those of the copy are not gathered beside the scan.
    """

    statistics: bool = True
    masks: bool = True

    @property
    def name(self) -> str:
        return "Branchline" if self.statistics else "Branchline, statistics left to the server"

    def run(self, job: Job) -> Mapping[str, float]:
        seconds, printed = run(COMMAND, text=[request(job, statistics=self.statistics)])
        return {**json.loads(printed)["seconds"], "process": seconds}


def request(job: Job, *, statistics: bool = True) -> bytes:
    """What the process reads: no password is on its command line."""
    told = {
        "engine": job.server.name,
        "account": asdict(job.server.account),
        "source": job.source,
        "target": job.target,
        "policy": job.profile.policy,
        "statistics": statistics,
    }
    return json.dumps(told).encode()


def ends(
    engine: str, account: Account, source: str, target: str
) -> tuple[AbstractContextManager[Snapshot], AbstractContextManager[Loader]]:
    """The seam: how each engine's adapter is asked for a source and an empty target. Raises KeyError for others."""
    return {"PostgreSQL": _postgresql, "MariaDB": _mariadb}[engine](account, source, target)


def _postgresql(
    account: Account, source: str, target: str
) -> tuple[AbstractContextManager[Snapshot], AbstractContextManager[Loader]]:
    """What `PostgresqlDatabase.snapshot` and `.loader` give, with the account of the benchmark for all roles."""
    from branchline.adapters.databases.postgresql_connection import PostgresqlServer  # noqa: PLC0415 - costs memory
    from branchline.adapters.databases.postgresql_loader import PostgresqlLoader  # noqa: PLC0415
    from branchline.adapters.databases.postgresql_snapshot import opened  # noqa: PLC0415

    server = PostgresqlServer(account.socket or account.host, account.port, account.user, account.password)
    return opened(server, source), closing(PostgresqlLoader(server, server, server, target, _same_locale))


def _same_locale(_locale: object) -> None:
    """The benchmark's databases all have the server's own."""
    raise AssertionError("source and target differ in encoding or locale")


def _mariadb(
    account: Account, source: str, target: str
) -> tuple[AbstractContextManager[Snapshot], AbstractContextManager[Loader]]:
    """What `MysqlDatabase.snapshot` and `.loader` give, with the account of the benchmark for all roles."""
    from branchline.adapters.databases.mysql_connection import MysqlServer  # noqa: PLC0415 - costs memory
    from branchline.adapters.databases.mysql_loader import MysqlLoader  # noqa: PLC0415
    from branchline.adapters.databases.mysql_snapshot import opened  # noqa: PLC0415

    server = MysqlServer(account.host, account.port, account.user, account.password, account.socket)
    return opened(server, source), closing(MysqlLoader(server, target, "CURRENT_USER", replace(server)))


def main(told: Mapping[str, Any]) -> dict[str, object]:
    """Does one sync; gives its seconds and the most memory that this process had."""
    policy = read_policy(told["policy"])
    source, target = ends(told["engine"], Account(**told["account"]), told["source"], told["target"])
    started = time.perf_counter()
    with ExitStack() as stack:
        snapshot, loader = stack.enter_context(source), stack.enter_context(target)
        if not told["statistics"]:
            stack.enter_context(patch.object(loader, "analyze"))
        report = replicate(snapshot, loader, policy)
    seconds = {**report.seconds, "all": time.perf_counter() - started}
    return {"seconds": seconds, "bytes": high_water("self")}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.stdin.read()))))
