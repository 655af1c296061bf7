"""Sanitized replication: snapshot, mask in flight, finish, disarm, prove. One call, one report."""

from __future__ import annotations

import hashlib
import math
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from queue import SimpleQueue
from threading import Lock

import polars as pl

from branchline.domain.policy import Policy
from branchline.domain.schema import Schema, Table
from branchline.errors import Failed
from branchline.ports import Block, Loader, Snapshot
from branchline.sanitize.checking import fitting
from branchline.sanitize.guessing import QUASI
from branchline.sanitize.proof import check_rows, check_sound, prove
from branchline.sanitize.report import ColumnReport, Progress, SyncReport, TableReport
from branchline.sanitize.scan import Originals
from branchline.sanitize.subset import narrowed
from branchline.sanitize.table import fill_pools, masker_for, value_derived_usernames

Listener = Callable[[Progress], None]


def replicate(
    source: Snapshot,
    target: Loader,
    policy: Policy,
    *,
    key: bytes | None = None,
    progress: Listener = lambda _: None,
    scan: bool = True,
) -> SyncReport:
    """Fills an empty version with the source's rows, masked by the policy, and proves it.

    `key`: 32 bytes that are stable between syncs; without, a fresh one that nobody keeps. Raises Refused before the first
    row when the policy does not fit, Failed with the places when an original came along or a check fails: the caller then
    removes the version. `scan=False` neither remembers originals nor searches for them, and is for measuring.
    """
    started = time.perf_counter()
    # Polars' own handler, made when it is imported, has waits go on after Ctrl-C
    signal.siginterrupt(signal.SIGINT, True)
    schema = source.schema()
    policy = narrowed(fitting(policy, source), source)
    drawing_key = secrets.token_bytes(32) if key is None else key
    clock = _Clock()
    with ThreadPoolExecutor(1, "beside") as beside:
        beside.submit(fill_pools, policy)
        originals = Originals(beside) if scan else None
        if originals is not None:
            beside.submit(originals.masked.take_memory)
        target.begin(source)
        tables = _copied(source, target, policy, schema, drawing_key, originals, progress)
        clock.lap("copy")
        progress(Progress("finish"))
        target.finish([name for name, rule in policy.tables.items() if rule.action == "rebuild"])
    if originals is not None:
        originals.aside.check()
    check_rows(target.count(), {table.name: table.rows for table in tables if table.action == "copy"})
    clock.lap("finish")
    disarm(target, policy, progress)
    clock.lap("disarm")
    with ThreadPoolExecutor(2, "beside") as beside:
        finished = [beside.submit(check_sound, target), beside.submit(target.analyze)]
        try:
            findings = prove(source, target, policy, schema, originals, progress)
            for each in finished:
                each.result()
        except BaseException:
            target.stop()
            raise
    clock.lap("prove")
    return SyncReport(
        tables,
        {**clock.seconds, "all": round(time.perf_counter() - started, 3)},
        leaks=0,
        coincidences=findings.coincidences,
        quasi_identifiers=quasi_identifiers(policy),
        disarmed=len(policy.disarm),
        assertions=len(policy.assertions),
        key="" if key is None else fingerprint(key),
        notes=tuple(source.notes),
    )


def disarm(target: Loader, policy: Policy, progress: Listener = lambda _: None) -> None:
    """Runs the policy's statements, then its assertions. Raises Failed on the first that does not hold."""
    for number, statement in enumerate(policy.disarm, 1):
        progress(Progress("disarm"))
        with _named(f"entry {number} of disarm.sql"):
            target.execute(statement)
    for number, query in enumerate(policy.assertions, 1):
        with _named(f"entry {number} of disarm.assert"):
            rows = target.answer(query)
        if not _holds(rows):
            what = f"The copy is not disarmed: the assertion {query!r} does not give one row with one true value."
            raise Failed(507, what, "Correct `disarm:` in sanitize.yaml; nothing was switched.")


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Says in a failure where in the policy the statement stands: of its text not all may be told."""
    try:
        yield
    except Failed as error:
        error.message = f"{error.message.rstrip('.')} ({place})."
        raise


def _holds(rows: Sequence[Sequence[object]]) -> bool:
    """A text is not true, whatever it says."""
    values = [value for row in rows for value in row]
    numbers = [v for v in values if isinstance(v, int | float | Decimal) and v != 0 and not math.isnan(v)]
    return len(values) == len(numbers) == 1


def fingerprint(key: bytes) -> str:
    """Tells stable keys apart without telling them."""
    return hashlib.sha256(b"branchline key fingerprint" + key).hexdigest()[:16]


def quasi_identifiers(policy: Policy) -> tuple[str, ...]:
    """Kept columns whose names speak of what can single a person out: postcode, date of birth, sex and the like."""
    return tuple(
        f"{table}.{column}"
        for table, rule in sorted(policy.tables.items())
        for column, chosen in rule.columns.items()
        if chosen.mask == "keep" and QUASI.search(column)
    )


def _copied(
    source: Snapshot,
    target: Loader,
    policy: Policy,
    schema: Schema,
    key: bytes,
    originals: Originals | None,
    progress: Listener,
) -> tuple[TableReport, ...]:
    """All tables, the large ones first, as many at once as the target takes. The first that fails ends the others."""
    happened: SimpleQueue[Progress | Future[TableReport]] = SimpleQueue()
    largest_first = sorted(
        schema.tables, key=lambda name: -source.estimate(name) if policy.tables[name].action == "copy" else 0
    )
    with ThreadPoolExecutor(target.jobs, "table") as pool:
        try:
            copying = {
                name: pool.submit(
                    _copy, source, target, policy, schema.tables[name], key, originals, happened.put
                )
                for name in largest_first
            }
            for future in copying.values():
                future.add_done_callback(happened.put)
            _told(happened, len(copying), progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            target.stop()
            raise
    return tuple(copying[name].result() for name in schema.tables)


def _told(happened: SimpleQueue[Progress | Future[TableReport]], tables: int, progress: Listener) -> None:
    """Until all tables are done: in this thread, where whoever listens is at home. Raises what ended one of them."""
    while tables:
        event = happened.get()
        if isinstance(event, Progress):
            progress(event)
        else:
            event.result()
            tables -= 1


def _copy(
    source: Snapshot,
    target: Loader,
    policy: Policy,
    table: Table,
    key: bytes,
    originals: Originals | None,
    progress: Listener,
) -> TableReport:
    name = table.name
    rule, started = policy.tables[name], time.perf_counter()
    if rule.action != "copy":
        return TableReport(name, rule.action, 0, 0, ())
    total = source.estimate(name)
    masker = masker_for(table, rule, policy.locale, key, originals, value_derived_usernames(policy))
    done = _Sum()

    def mask(block: Block) -> pl.DataFrame:
        masked = masker(block)
        progress(Progress("copy", name, done.add(masked.height), total))
        return masked

    progress(Progress("copy", name, 0, total))
    keep = rule.keep_rows.where if rule.keep_rows else ""
    rows = target.copy(name, masker.columns, mask, where=rule.where, keep=keep)
    if masker.columns and done.sum != rows:
        what = f"The copy is not sound: {name} has {rows:,} rows where {done.sum:,} were masked."
        raise Failed(506, what, "Report this; nothing was switched.")
    progress(Progress("copy", name, rows, max(rows, total)))
    columns = tuple(
        ColumnReport(column, chosen.mask, chosen.reason) for column, chosen in rule.columns.items()
    )
    seconds = round(time.perf_counter() - started, 3)
    return TableReport(
        name,
        "copy",
        rows,
        source.count(name) if rule.where else rows,
        columns,
        keep_rows=rule.keep_rows.reason if rule.keep_rows else "",
        kept_rows=source.count(name, _both(rule.where, keep)) if keep else 0,
        seconds=seconds,
    )


def _both(where: str, keep: str) -> str:
    return f"({where}) AND ({keep})" if where else keep


class _Sum:
    """Counted in several threads."""

    def __init__(self) -> None:
        self.sum, self._adding = 0, Lock()

    def add(self, number: int) -> int:
        with self._adding:
            self.sum += number
            return self.sum


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now
