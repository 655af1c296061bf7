"""One engine, one profile: everybody copies the same data in turn, and what came out is checked."""

from __future__ import annotations

import secrets
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data.commands import DidNotRun
from benchmarks.data.contender import Contender, Job, check
from benchmarks.data.memory import peak
from benchmarks.data.profiles import Profile, profile_b
from benchmarks.data.server import Server

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """What one contender did. `seconds`: medians of the measured runs, `all` and its parts. `lacks`: what its copies miss of
    the source's indexes and keys. `failure`: why there are no seconds.
    """

    contender: str
    rows: int
    runs: Sequence[float] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    lacks: str = ""
    failure: str = ""


def compare(
    server: Server, profile: Profile, contenders: Sequence[Contender], *, repeats: int, say: Say
) -> list[Result]:
    """One warm-up for each, then `repeats` rounds, each begun by another contender. Who fails is not asked again."""
    taken: dict[str, list[Mapping[str, float]]] = {each.name: [] for each in contenders}
    lacks: dict[str, str] = {}
    failures: dict[str, str] = {}
    with _database(server, "source") as source:
        server.fill(source, profile)
        for number in range(repeats + 1):
            turn = number % len(contenders)
            for contender in (*contenders[turn:], *contenders[:turn]):
                if contender.name in failures:
                    continue
                say(
                    f"{server.name} {profile.name}, {profile.rows:,} rows: {contender.name}, {number} of {repeats}"
                )
                try:
                    seconds, lacks[contender.name] = _once(server, profile, source, contender)
                except DidNotRun as reason:
                    failures[contender.name] = str(reason)
                    continue
                if number:
                    taken[contender.name].append(seconds)
    return [
        Result(name, profile.rows, failure=failures[name])
        if name in failures
        else _result(name, profile.rows, runs, lacks[name])
        for name, runs in taken.items()
    ]


def peaks(server: Server, sizes: Sequence[int], *, say: Say) -> list[int]:
    """Bytes of Branchline's sync of profile B at each number of rows. Raises DidNotRun."""
    found = []
    for rows in sizes:
        say(f"{server.name}: peak memory at {rows:,} rows")
        profile = profile_b(rows)
        with _database(server, "source") as source, _job(server, profile, source) as job:
            server.fill(source, profile)
            found.append(peak(job))
    return found


def _result(name: str, rows: int, runs: Sequence[Mapping[str, float]], lacks: str) -> Result:
    medians = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
    return Result(name, rows, tuple(run["all"] for run in runs), medians, lacks)


def _once(
    server: Server, profile: Profile, source: str, contender: Contender
) -> tuple[Mapping[str, float], str]:
    with _job(server, profile, source) as job:
        server.settle()
        return contender.run(job), check(job, masks=contender.masks)


@contextmanager
def _job(server: Server, profile: Profile, source: str) -> Iterator[Job]:
    with (
        _database(server, "target") as target,
        tempfile.TemporaryDirectory(prefix="branchline-bench-") as scratch,
    ):
        yield Job(server, profile, source, target, Path(scratch))


@contextmanager
def _database(server: Server, role: str) -> Iterator[str]:
    name = f"branchline_bench_{role}_{secrets.token_hex(4)}"
    server.make(name)
    try:
        yield name
    finally:
        server.drop(name)
