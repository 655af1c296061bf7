"""What makes an operation exclusive, visible, resumable and undoable.

An operation ends in one way, whether its process raised, was cancelled or was killed: `_settle`. Before
the commit point that removes what was made; after it, that finishes. It reads only the journal, so the
process that does it need not be the one that began.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from branchline.domain.activity import Activity, Grip, Holder, Lease, NewActivity, Want
from branchline.domain.outcome import Interrupted, busy, not_ended, outcome_of, reason_of
from branchline.errors import BranchlineError, Unavailable
from branchline.redaction import Redactor
from branchline.state.leases import LostLease
from branchline.state.store import Store

progress = logging.getLogger("branchline.progress")
"""Steps and their output as they happen. Records carry `event` (`begun`, `done`, `failed`, `line`) and `step`."""

Remover = Callable[[Grip, str], None]
"""Removes one kind of resource by name, and is content when it is gone."""

FINISH = "finish"

_NOT_PRINTABLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""What a hook could steer a terminal with: colours, titles, cursor moves (ECMA-48), other control characters."""

_live: dict[str, Operation] = {}
"""The operations of this process, by id."""
_claimed: dict[str, object] = {}
"""The activities that a thread of this process begins, runs or takes over: no other thread takes their leases for
those of an operation that nobody runs any more."""


class Processes(Protocol):
    """Who holds a lease, and whether they live."""

    def this(self) -> Holder: ...
    def is_here(self, holder: Holder) -> bool: ...
    def alive(self, holder: Holder) -> bool: ...
    def kill(self, holder: Holder) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What an operation is asked to do. `parameters` hold no secrets: names and plain values."""

    kind: str
    project: str
    environment: str
    wants: Sequence[Want]
    sentence: str
    parameters: Mapping[str, Any]
    actor: str
    flow_run_id: str | None = None
    wait_seconds: float = 0.0
    request_key: str | None = None
    """By which whoever asks twice for the same thing is known."""


@dataclass(slots=True)
class StepRun:
    """A step while it runs; `detail` is what the journal says of it afterwards."""

    name: str
    detail: str = ""


class Operation:
    """A live operation of this process, found by its id with `Operations.live`."""

    def __init__(
        self, operations: Operations, grip: Grip, log: Path, project: str, secrets: Iterable[str]
    ) -> None:
        self._operations = operations
        self.grip = grip
        self._kept = grip
        """The leases that it has from its beginning to its end; who shows them renews them all."""
        self._project = project
        self.redactor = Redactor(secrets)
        self.skipped: str | None = None
        self.cancelled = False
        """Somebody asked for its end, or ends its process soon: what is left to do is to be quick."""
        self.process = os.getpid()
        self._log = log
        self._written = 0
        self._stop = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"heartbeat {self.id}", daemon=True)

    @property
    def id(self) -> str:
        return self.grip.activity_id

    @contextmanager
    def step(self, name: str) -> Iterator[StepRun]:
        """Writes the intent, then the result. The step's detail and error are redacted, the error that goes on too."""
        store, clock = self._operations.store, self._operations.clock
        self.redactor.add(self._operations.secrets_of(self._project))  # one may have been set since it began
        seq = store.activities.begin_step(self.grip, name, clock())
        progress.info(name, extra={"event": "begun", "step": name})
        run = StepRun(name)
        began = time.monotonic()
        try:
            yield run
        except LostLease:
            raise
        except BaseException as error:
            self.redactor.clean_error(error)
            reason = self.redactor.clean(reason_of(error))
            self._write(f"{name} failed: {reason}")
            store.activities.end_step(self.grip, seq, "failed", reason, clock())
            progress.info(
                name,
                extra={
                    "event": "failed",
                    "step": name,
                    "detail": reason,
                    "seconds": time.monotonic() - began,
                },
            )
            raise
        detail = self.redactor.clean(run.detail)
        store.activities.end_step(self.grip, seq, "done", detail, clock())
        progress.info(
            name, extra={"event": "done", "step": name, "detail": detail, "seconds": time.monotonic() - began}
        )

    def skip(self, reason: str) -> None:
        """There is nothing to do; not a failure."""
        self.skipped = reason

    def making(self, kind: str, name: str) -> None:
        """To be called before something is made outside the database."""
        self._operations.store.activities.making(self.grip, kind, name)

    def warn(self, warning: str) -> None:
        """For what went wrong after the commit point: the release stays."""
        warning = self.redactor.clean(warning)
        self._operations.store.activities.warn(self.grip, warning)
        progress.warning(warning, extra={"event": "warning", "step": ""})

    def output(self, line: str) -> None:
        """One line of a hook's or check's output: to the activity's log, and to whoever watches."""
        line = _NOT_PRINTABLE.sub("", self.redactor.clean(line))
        self._write(line)
        progress.info(line, extra={"event": "line", "step": ""})

    def _write(self, line: str) -> None:
        limit = self._operations.log_limit
        if self._written <= limit:
            self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._log.open("a", encoding="utf-8", errors="replace") as log:
                log.write(
                    line + "\n" if self._written + len(line) <= limit else f"(log full: {limit} bytes)\n"
                )
        self._written += len(line) + 1

    @contextmanager
    def also(self, want: Want, wait_seconds: float) -> Iterator[None]:
        """One more lease for a while, waited for."""
        self.grip = self._operations.add(self.grip, want, wait_seconds)
        yield
        # Before the release: an end that comes between the two never shows a lease that is given back already.
        with_it, self.grip = self.grip, self.grip.without(want.resource)
        self._operations.store.leases.release(with_it, want.resource)

    def begin_heartbeat(self) -> None:
        self._heart.start()

    def end_heartbeat(self) -> None:
        self._stop.set()
        if self._heart.is_alive():
            self._heart.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._operations.heartbeat_seconds):
            try:
                self._operations.renew(self._kept)
            except Unavailable:
                continue
            except Exception:  # noqa: BLE001 - whatever it was: without its lease it may do nothing more
                self._operations.abandon(self.id)
                return


@dataclass(slots=True)
class Operations:
    """Begins operations, ends them, and ends those that others left behind."""

    store: Store
    processes: Processes
    removers: Mapping[str, Remover]
    finish: Callable[[Operation], None]
    abandon: Callable[[str], None]
    """Ends the commands that an operation runs when it has lost its lease."""
    log_of: Callable[[str], Path]
    secrets_of: Callable[[str], Iterable[str]]
    """What must not be read in a project's logs and journal."""
    clock: Callable[[], datetime]
    lease_seconds: float = 60.0
    heartbeat_seconds: float = 10.0
    log_limit: int = 20_000_000
    poll_seconds: float = 0.2

    def live(self, operation_id: str) -> Operation:
        """The operation of this process by its id."""
        return _live[operation_id]

    def hide(self, operation_id: str, secrets: Iterable[str]) -> None:
        """From all that an operation of this process writes from now on; content when none has this id."""
        if (operation := _live.get(operation_id)) is not None:
            operation.redactor.add(secrets)

    @contextmanager
    def run(self, request: Request) -> Iterator[Operation]:
        """Takes the leases, journals, and settles however the body ends.

        Raises Unavailable when somebody else holds a lease and `wait_seconds` are over; Failed (316) when its end
        failed too, and is left to recovery.
        """
        operation = self._begin(request)
        error: BaseException | None = None
        try:
            yield operation
        except BaseException as caught:
            error = caught
            raise
        finally:
            if os.getpid() == operation.process:  # in a fork of it, the operation goes on elsewhere
                self._conclude(operation, error)

    def recover(self) -> Sequence[Activity]:
        """Ends what dead processes of this host left behind; gives the activities that were ended.

        Raises Failed (316) for the first that could not be ended, when it has tried them all.
        """
        ended, failures = [], []
        for activity in self.store.activities.unended():
            leases = self.store.leases.held(activity.id)
            try:
                if leases and not self._keeps(leases[0]) and self._take_over(leases):
                    ended.append(self.store.activities.get(activity.id))
            except BranchlineError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return ended

    def unlock(self, resource: str, reason: str, actor: str) -> Sequence[Activity]:
        """Ends whatever holds a resource, alive or not, on this host or not: a person answers for it."""
        ended = []
        for activity_id in {
            lease.activity_id for lease in self.store.leases.held() if lease.resource == resource
        }:
            if self._take_over(self.store.leases.held(activity_id), f"unlocked by {actor}: {reason}"):
                ended.append(self.store.activities.get(activity_id))
        return ended

    def renew(self, grip: Grip) -> None:
        self.store.leases.renew(grip, self.clock(), self.lease_seconds)

    def add(self, grip: Grip, want: Want, wait_seconds: float) -> Grip:
        """One more lease, waited for. Raises Unavailable."""
        return self._until_free(
            lambda: self.store.leases.add(grip, want, self.clock(), self.lease_seconds), wait_seconds
        )

    def _begin(self, request: Request) -> Operation:
        hidden = list(self.secrets_of(request.project))
        new = NewActivity(
            id=new_id("a"),
            kind=request.kind,
            project=request.project,
            environment=request.environment,
            parameters=dict(request.parameters),
            actor=request.actor,
            flow_run_id=request.flow_run_id,
            request_key=request.request_key,
            sentence=request.sentence,
        )

        _claimed[new.id] = new
        try:
            grip = self._until_free(
                lambda: self.store.activities.begin(
                    new, request.wants, self.processes.this(), self.clock(), self.lease_seconds
                ),
                request.wait_seconds,
            )
            return self._alive(grip, request.project, hidden)
        except BaseException:
            del _claimed[new.id]
            raise

    def _alive(self, grip: Grip, project: str, hidden: Iterable[str]) -> Operation:
        operation = Operation(self, grip, self.log_of(grip.activity_id), project, hidden)
        _live[operation.id] = operation
        operation.begin_heartbeat()
        return operation

    def _until_free(self, take: Callable[[], Grip | tuple[Lease, ...]], wait_seconds: float) -> Grip:
        deadline = time.monotonic() + wait_seconds
        while True:
            got = take()
            if isinstance(got, Grip):
                return got
            if self._clear(got):
                continue
            if time.monotonic() >= deadline:
                raise self._busy(got[0])
            time.sleep(self.poll_seconds)

    def _clear(self, in_the_way: Sequence[Lease]) -> bool:
        """Ends dead holders; whether there was one."""
        cleared = False
        for activity_id in {lease.activity_id for lease in in_the_way}:
            leases = self.store.leases.held(activity_id)
            if not leases:
                cleared = True
            elif not self._keeps(leases[0]):
                cleared = self._take_over(leases) or cleared
        return cleared

    def _keeps(self, lease: Lease) -> bool:
        """Whether its holder may go on: it lives and has renewed in time, or cannot be asked."""
        if not self.processes.is_here(lease.holder):
            return True
        if lease.holder == self.processes.this():
            return lease.activity_id in _claimed
        return self.processes.alive(lease.holder) and lease.expires_at > self.clock()

    def _take_over(self, leases: Sequence[Lease], why: str = "") -> bool:
        """First ends what the old holder left on this host, then settles in its place; False when another was quicker."""
        holder, activity_id = leases[0].holder, leases[0].activity_id
        claim = object()
        if _claimed.setdefault(activity_id, claim) is not claim:
            return False
        try:
            if holder != self.processes.this():
                self.processes.kill(holder)
            project = self.store.activities.get(activity_id).project
            hidden = list(self.secrets_of(project))
            grip = self.store.leases.take_over(
                leases, self.processes.this(), self.clock(), self.lease_seconds
            )
            if grip is not None:
                self._conclude(self._alive(grip, project, hidden), Interrupted(), why)
            return grip is not None
        finally:
            _claimed.pop(activity_id, None)

    def _conclude(self, operation: Operation, error: BaseException | None, why: str = "") -> None:
        """Settles it, unless another process does that now, and lets go of it."""
        try:
            if isinstance(error, LostLease):
                return
            if isinstance(error, Interrupted):
                self.abandon(operation.id)
            if why:
                operation.warn(why)
            self._settle(operation, error)
        except LostLease:
            raise
        except Exception as failure:
            ended = not_ended(operation.id, error, failure)
            operation.redactor.clean_error(ended)
            raise ended from failure
        finally:
            operation.end_heartbeat()
            _live.pop(operation.id, None)
            _claimed.pop(operation.id, None)

    def _settle(self, operation: Operation, error: BaseException | None) -> None:
        self.renew(operation.grip)
        operation.cancelled = error is not None and not isinstance(error, Exception)
        activity = self.store.activities.get(operation.id)
        if activity.committed_at is not None and not _finished(activity):
            with operation.step(FINISH):
                self.finish(operation)
        self._remove(operation)
        result, reason = outcome_of(activity, operation.skipped, error)
        self.store.activities.end(
            operation.grip,
            result,
            operation.redactor.clean(reason) if reason else None,
            self.clock(),
            cancelled=operation.cancelled and activity.committed_at is None,
        )

    def _remove(self, operation: Operation) -> None:
        """All that can be removed now; then raises what stood in the way of the first that could not."""
        failures = []
        for resource in self.store.activities.left_to_remove(operation.id):
            try:
                self.removers[resource.kind](operation.grip, resource.name)
            except LostLease:
                raise
            except Exception as failure:  # noqa: BLE001 - raised below
                failures.append(failure)
            else:
                self.store.activities.removed(operation.grip, resource)
        if failures:
            raise failures[0]

    def _busy(self, lease: Lease) -> Unavailable:
        out_of_reach = not self.processes.is_here(lease.holder) and lease.expires_at <= self.clock()
        return busy(lease, self.store.activities.get(lease.activity_id), out_of_reach=out_of_reach)


def new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(5)}"


def _finished(activity: Activity) -> bool:
    return any(step.name == FINISH and step.state == "done" for step in activity.steps)
