"""A sanitized SQLite sync against an unmasked copy, and its peak memory: ratios measured in one run."""

from __future__ import annotations

import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy

TABLE = """CREATE TABLE customers (
  id INTEGER PRIMARY KEY, email TEXT, first_name TEXT, last_name TEXT, phone TEXT, street TEXT, city TEXT,
  postcode TEXT, country TEXT, points INTEGER, created_at TEXT, note TEXT)"""
POLICY = """
tables:
  customers:
    columns:
      {id: keep, email: email, first_name: first_name, last_name: last_name, phone: phone, street: street, city: city,
       postcode: keep, country: keep, points: keep, created_at: keep, note: keep}
"""
REPEATS = 3


def measure(rows: int = 1_000_000) -> list[dict[str, object]]:
    """Rows of {job, against, ratio, at_most}; medians of three runs of each side, taken in turns."""
    with tempfile.TemporaryDirectory(prefix="branchline-bench-") as directory:
        root = Path(directory)
        large, small = _filled(root / "large", rows), _filled(root / "small", rows // 10)
        runs = [
            (_plain_copy(large.root), _sync(large, scan=False), _sync(large, scan=True))
            for _ in range(REPEATS)
        ]
        peaks = [_peak(database.root) for database in (small, large)]
    copy, size = "unmasked ATTACH + INSERT ... SELECT", f"{rows:,} x 12, 6 masked"
    plain, without, with_scan = (_medians(side) for side in zip(*runs, strict=True))
    return [
        _row(f"sanitized sync without the final scan, {size}", copy, without[0] / plain[0], 8.0),
        _row("processor seconds of the same", copy, without[1] / plain[1], None),
        _row(f"sanitized sync with the final scan, {size}", copy, with_scan[0] / plain[0], None),
        _row(f"peak memory of a sync of {rows:,} rows", f"of {rows // 10:,} rows", peaks[1] / peaks[0], 1.5),
    ]


def _row(job: str, against: str, ratio: float, at_most: float | None) -> dict[str, object]:
    return {"job": job, "against": against, "ratio": round(ratio, 2), "at_most": at_most}


def _filled(root: Path, rows: int) -> SqliteDatabase:
    database = SqliteDatabase(root)
    database.create("production")
    with sqlite3.connect(str(database.relationship("production")["path"])) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(TABLE)
        connection.executemany(f"INSERT INTO customers VALUES ({', '.join('?' * 12)})", _customers(rows))
    connection.close()
    return database


def _customers(rows: int) -> Iterator[tuple[object, ...]]:
    chance = random.Random(1)
    for number in range(1, rows + 1):
        first, last = f"Fn{chance.randrange(800)}", f"Lastname{chance.randrange(1500)}"
        yield (
            number, f"{first.lower()}.{last.lower()}{number}@mail{number % 50}.example", first, last,
            f"+49 {chance.randrange(10**9):09d}", f"{last} street {chance.randrange(200)}", f"City {chance.randrange(3000)}",
            f"{chance.randrange(10**5):05d}", "DE", chance.randrange(1000), f"2024-01-{number % 28 + 1:02d} 10:00:00",
            f"note number {number % 1000} of this customer",
        )  # fmt: skip


def _medians(runs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in runs), statistics.median(cpu for _, cpu in runs)


def _plain_copy(root: Path) -> tuple[float, float]:
    """Seconds, on the clock and of processors."""
    database = SqliteDatabase(root)
    database.remove("copy")
    database.create("copy")
    connection = sqlite3.connect(str(database.relationship("copy")["path"]), isolation_level=None)
    started, worked = time.perf_counter(), time.process_time()
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("ATTACH ? AS source", (str(database.relationship("production")["path"]),))
    connection.execute(TABLE)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO main.customers SELECT * FROM source.customers")
    connection.execute("COMMIT")
    connection.close()
    return time.perf_counter() - started, time.process_time() - worked


def _sync(database: SqliteDatabase, *, scan: bool) -> tuple[float, float]:
    """Seconds, on the clock and of processors. Without the scan, originals are not remembered either."""
    database.remove("staging")
    database.create("staging")
    started, worked = time.perf_counter(), time.process_time()
    with database.snapshot("production") as source, database.loader("staging") as target:
        replicate(source, target, read_policy(POLICY), scan=scan)
    return time.perf_counter() - started, time.process_time() - worked


def _peak(root: Path) -> int:
    """Kilobytes, of a process that does one sync with its scan."""
    command = [sys.executable, "-m", "benchmarks.sync", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.strip())


if __name__ == "__main__":
    _sync(SqliteDatabase(Path(sys.argv[1])), scan=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
