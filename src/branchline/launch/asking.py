"""A flow, asked for by a machine that may ask again: run here or on a server, joined when the same was asked for before."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

from branchline.domain.activity import Activity
from branchline.domain.happening import Happening, Outcome
from branchline.errors import BranchlineError, Failed, Refused, Unavailable
from branchline.launch.here import run_flow
from branchline.launch.server import RunState, Server
from branchline.launch.watching import Watch, error_of, page_of
from branchline.operation import progress
from branchline.platform import Platform
from branchline.steps.releases.listing import ReleaseView
from branchline.steps.summary import Summary, in_words, summary_of
from branchline.wiring import open_platform

DEPLOYMENTS = {
    "build_artifact": "build/build",
    "deploy_environment": "deploy/deploy",
    "promote_to_staging": "promote-to-staging/promote-to-staging",
    "promote_to_production": "promote-to-production/promote-to-production",
    "roll_back_environment": "rollback/rollback",
    "sync_data": "sync-data/sync-data",
    "deactivate_environment": "deactivate/deactivate",
    "create_release": "create-release/create-release",
}
"""By flow: the deployment whose form takes any value."""
_RELEASE = re.compile(r"release (r-[0-9a-f]+): ")
ASKED_BEFORE, BUSY = 287, 313
CANCEL_SECONDS = 400.0
"""For a run to end that was told to: Prefect itself gives up one whose worker is gone after 300 s."""
FOLLOW_SECONDS = 0.5
RECOVER_SECONDS = 5.0


class TimeLimit(SystemExit):
    """The time that whoever asked gives it is over."""


class Watcher(Protocol):
    """Whoever is told."""

    def started(self, run: str, page: str) -> None:
        """The run on the server that is watched from now on."""

    def happened(self, happening: Happening) -> None: ...


def request_key(file: str, parameters: Mapping[str, Any], key: str | None) -> str:
    """The same for the same key and the same words; without a key, one of its own."""
    if key is None:
        return f"ci:{uuid4().hex}"
    words = json.dumps([key, file, dict(parameters)], sort_keys=True)
    return f"ci:{key[:100]}:{hashlib.sha256(words.encode()).hexdigest()[:16]}"


def on_server(
    server: Server, file: str, parameters: Mapping[str, Any], key: str, watcher: Watcher
) -> Outcome:
    """How the run ended. One that runs with this key is joined, one that succeeded is not repeated, one that failed is.

    Ending this process, or its time limit, cancels the run. Raises what the command would have raised.
    """
    asked = _Asked(server, file, parameters, key)
    try:
        state = asked.begin()
        watcher.started(asked.run, page_of(server, asked.run))
        if state.type not in ("SCHEDULED", "PENDING"):
            _say(watcher, f"asked for before with the same key: it is {state.name}")
        ended = Watch(server, asked.run, watcher.happened).until_ended()
    except TimeLimit:
        ended = asked.cancel(watcher)
        if ended.type != "COMPLETED":
            raise _over(f"the run was cancelled and ended as {ended.name}") from None
    except (SystemExit, KeyboardInterrupt):
        asked.cancel(watcher)
        raise
    if error := error_of(ended):
        raise error
    return Outcome(
        outcome="skipped" if ended.name == "Skipped" else "success",
        exit_code=0,
        message=ended.message,
        release=made[1] if (made := _RELEASE.match(ended.message)) else None,
        run=asked.run,
        page=page_of(server, asked.run),
    )


class _Asked:
    """A run of a key. The first that failed with it is followed by a second one, and so on."""

    def __init__(self, server: Server, file: str, parameters: Mapping[str, Any], key: str) -> None:
        self._server, self._file, self._parameters, self._key = server, file, parameters, key
        self._attempt = 1
        self.run = ""

    def begin(self) -> RunState:
        while True:
            self.run = self._start()
            state = self._server.state(self.run)
            if state.type == "CANCELLING":  # by the job that this one repeats
                state = Watch(self._server, self.run, lambda _: None).until_ended(CANCEL_SECONDS)
            if not state.ended or state.type == "COMPLETED":
                return state
            self._attempt += 1
            self.run = ""

    def cancel(self, watcher: Watcher) -> RunState:
        """When it was cut short while it asked, it asks again: by the key that is the same run."""
        self.run = self.run or self._start()
        self._server.cancel(self.run)
        return Watch(self._server, self.run, watcher.happened).until_ended(CANCEL_SECONDS)

    def _start(self) -> str:
        return self._server.start(
            DEPLOYMENTS[self._file],
            self._parameters,
            key=f"{self._key}:{self._attempt}",
            production=self._file == "promote_to_production",
            tags=["ci"],
        )


def here(file: str, parameters: Mapping[str, Any], key: str, watcher: Watcher) -> Outcome:
    """How the flow ended in this process, or in another one of this home that was asked with the same key.

    Raises what the flow raises.
    """
    platform = open_platform()
    activities = platform.store.activities
    while True:
        known = activities.asked(key)
        try:
            if known is None:
                with _told(watcher), _known_by(key):
                    return _outcome(run_flow(file, dict(parameters)))
            if known.ended_at is not None:
                _say(watcher, f"asked for before with the same key: activity {known.id}")
                return _outcome(summary_of(platform, known.id))
            _follow(platform, known, watcher)
        except TimeLimit:
            done = activities.asked(key)
            if done is None or done.ended_at is None:
                what = "it goes on in another process" if done else "nothing changed"
                raise _over(what) from None
            return _outcome(summary_of(platform, done.id))
        except (Refused, Unavailable) as error:
            if error.number not in (ASKED_BEFORE, BUSY) or activities.asked(key) is None:
                raise


def _follow(platform: Platform, activity: Activity, watcher: Watcher) -> None:
    """Until it has ended; when the process that runs it dies, until that is undone."""
    _say(watcher, f"asked for before with the same key: activity {activity.id} is in progress")
    told: set[tuple[int, str]] = set()
    recover_at = time.monotonic() + RECOVER_SECONDS
    while True:
        found = platform.store.activities.get(activity.id)
        for step in found.steps:
            if (step.seq, "begun") not in told:
                watcher.happened(Happening("begun", step.name, step.started_at))
            if step.ended_at and step.state != "begun" and (step.seq, step.state) not in told:
                seconds = (step.ended_at - step.started_at).total_seconds()
                watcher.happened(Happening(step.state, step.name, step.ended_at, seconds, step.detail))
            told |= {(step.seq, "begun"), (step.seq, step.state)}
        if found.ended_at is not None:
            return
        if time.monotonic() >= recover_at:
            recover_at = time.monotonic() + RECOVER_SECONDS
            with suppress(BranchlineError):  # of another environment, perhaps
                platform.operations.recover()
        time.sleep(FOLLOW_SECONDS)


@contextmanager
def _known_by(key: str) -> Iterator[None]:
    """Whatever operation begins within carries the key."""
    before = os.environ.get("BRANCHLINE_REQUEST_KEY")
    os.environ["BRANCHLINE_REQUEST_KEY"] = key
    try:
        yield
    finally:
        del os.environ["BRANCHLINE_REQUEST_KEY"]
        if before is not None:
            os.environ["BRANCHLINE_REQUEST_KEY"] = before


@contextmanager
def _told(watcher: Watcher) -> Iterator[None]:
    """The watcher is told what the steps of this process say."""
    handler = _Progress(watcher.happened)
    level, propagate = progress.level, progress.propagate
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    progress.propagate = False
    try:
        yield
    finally:
        progress.removeHandler(handler)
        progress.setLevel(level)
        progress.propagate = propagate


class _Progress(logging.Handler):
    def __init__(self, tell: Callable[[Happening], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        event: Any = getattr(record, "event", "")
        if event in ("begun", "done", "failed", "line", "warning"):
            at = datetime.fromtimestamp(record.created, UTC)
            seconds, detail = getattr(record, "seconds", None), getattr(record, "detail", "")
            self._tell(Happening(event, record.getMessage(), at, seconds, detail))


def _outcome(result: Summary | ReleaseView) -> Outcome:
    """Of what did not raise."""
    if isinstance(result, ReleaseView):
        return Outcome("success", 0, f"{result.sentence}, due {result.due}", release=result.id)
    return Outcome(result.outcome, 0, in_words(result), activity=result.activity)


def _say(watcher: Watcher, text: str) -> None:
    watcher.happened(Happening("line", text, datetime.now(UTC)))


def _over(what: str) -> Failed:
    return Failed(
        292,
        f"It was not done within its time limit: {what}.",
        "give it more with --timeout, or see what takes so long",
    )
