"""What the post-receive hook of a project's repository runs: writes down what was pushed, then shows how it fares.

The branches have moved when Git calls it, so nothing is refused here. Whoever pushed waits for it, so it opens no
platform: it imports the settings and the few tables that it needs, and nothing that knows Git.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from branchline.config.settings import OVERRIDES, read_settings
from branchline.config.state_place import state_url
from branchline.domain.activity import Activity, Step
from branchline.domain.outcome import reason_of
from branchline.domain.push import OPEN, SAID, NewPush, Push, RefUpdate, ref_updates
from branchline.errors import BranchlineError, Failed
from branchline.layout import Layout
from branchline.state.activities import Activities
from branchline.state.database import StateDatabase
from branchline.state.pushes import Pushes
from branchline.state.running import Running

DISPATCHER = "dispatcher"
POLL_SECONDS = 0.2
MOST_FOLLOWED = 3
"""Branches of one push that are followed; of more, it is said where to look."""
UNBEGUN_SECONDS = 60.0
"""How long a run may take to begin before whoever pushed is not kept waiting for it any more."""
PATIENCE_SECONDS = 20.0
"""How long what keeps pushes from being started must last before whoever pushed is not kept waiting for its end."""
NOT_UP = "Branchline is not up. The push is kept, and deployed when it is: branchline up."
LOG_LINES = 20
"""Of the end of a failed activity's log that are shown."""
MOST_OF_A_LOG = 20_000
LONGEST_NAME = 100


def main() -> int:
    """The hook: reads what was pushed from standard input, talks on standard error. 0: it is written down."""
    updates = ref_updates(sys.stdin.buffer)
    if not any(update.branch for update in updates):
        return 0
    project = Path(os.environ["GIT_DIR"]).resolve().name.removesuffix(".git")
    try:
        settings = read_settings(Path(os.environ["BRANCHLINE_CONFIG"]) / "branchline.yaml", _own(os.environ))
        layout = Layout(settings.home)
        database = StateDatabase(state_url(settings, layout.state))
        pushes = write_down(Pushes(database), project, updates, pusher(os.environ), _now())
    except Exception as error:  # noqa: BLE001 - whatever it was, whoever pushed must hear of it
        say(
            "Branchline took this push but does NOT deploy it:",
            *str(_not_written(project, error)).split("\n"),
        )
        return SAID
    for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: os._exit(0))
    watch = Watch(Pushes(database), Activities(database), Running(database), layout, say)
    if len(pushes) > MOST_FOLLOWED or not wanted(os.environ):
        watch.point(project, pushes)
    else:
        watch.follow(pushes)
    return 0


def write_down(
    outbox: Pushes, project: str, updates: Sequence[RefUpdate], who: str, now: datetime
) -> Sequence[Push]:
    """A row for each branch, all in one transaction. Raises what the state database raises."""
    return outbox.add(
        [NewPush(project, each.branch, each.old, each.new, who) for each in updates if each.branch], now
    )


def pusher(environ: Mapping[str, str]) -> str:
    """Whom the hook runs for: BRANCHLINE_PUSHER, which a server may set for each key, or the user of the system."""
    named = _printable(environ.get("BRANCHLINE_PUSHER", ""))[:LONGEST_NAME].strip()
    return named or pwd.getpwuid(os.getuid()).pw_name


def wanted(environ: Mapping[str, str]) -> bool:
    """Whether its steps are to be shown: not after `git push -o branchline.wait=no`."""
    count = environ.get("GIT_PUSH_OPTION_COUNT", "0")
    options = [environ.get(f"GIT_PUSH_OPTION_{number}") for number in range(int(count or 0))]
    return "branchline.wait=no" not in options


def say(*lines: str) -> None:
    """To the pushing terminal; when that is gone there is nobody left to tell."""
    try:
        for line in lines:
            print(_printable(line), file=sys.stderr, flush=True)
    except OSError:
        os._exit(0)


@dataclass(slots=True)
class Watch:
    """Shows how pushes fare, from their rows, and changes nothing."""

    pushes: Pushes
    activities: Activities
    running: Running
    layout: Layout
    say: Callable[..., None]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    wait: Callable[[], None] = lambda: time.sleep(POLL_SECONDS)
    _shown: dict[tuple[str, int], str] = field(default_factory=dict)
    """The state in which each step of an activity was shown last."""
    _said: set[str] = field(default_factory=set)
    _trouble_since: datetime | None = None

    def point(self, project: str, pushes: Sequence[Push]) -> None:
        """Says where to look."""
        count = f"{len(pushes)} branches" if len(pushes) > 1 else "1 branch"
        self.say(
            f"Branchline: accepted, {count} from {pushes[0].pusher}.{'' if self._is_up() else f' {NOT_UP}'}",
            f"  how they fare: branchline push list {project}",
        )

    def follow(self, pushes: Sequence[Push]) -> None:
        """Until each has ended, or nothing goes on that could be followed."""
        self.say(f"Branchline: accepted from {pushes[0].pusher}: {', '.join(each.what for each in pushes)}.")
        if self._gives_up(pushes):
            return
        self.say("  You may hang up (Ctrl-C): it goes on.")
        ids = [each.id for each in pushes]
        while ids:
            now = self.pushes.these(ids)
            for push in now:
                self._show(push)
            ids = [each.id for each in now if each.state in OPEN]
            if ids and self._gives_up(now):
                return
            if ids:
                self.wait()

    def _gives_up(self, pushes: Sequence[Push]) -> bool:
        """Whether none of them goes on now, and it was said why."""
        why = (
            None
            if any(push.state == "running" and push.activity_id for push in pushes)
            else self._why(pushes)
        )
        if why is not None:
            self.say(f"Branchline: {why}", f"  how it fares: branchline push list {pushes[0].project}")
        return why is not None

    def _why(self, pushes: Sequence[Push]) -> str | None:
        if not self._is_up():
            return NOT_UP
        trouble = self._trouble()
        self._trouble_since = (self._trouble_since or self.clock()) if trouble else None
        if trouble is not None and self._trouble_since is not None:
            self._once(trouble)
            lasts = self._since(self._trouble_since) >= PATIENCE_SECONDS
            return "It goes on without you." if lasts else None
        taken = [push.taken_at for push in pushes if push.taken_at]
        if taken and self._since(max(taken)) > UNBEGUN_SECONDS:
            return "No worker has begun it yet. It is kept, and goes on without you."
        return None

    def _since(self, then: datetime) -> float:
        return (self.clock() - then).total_seconds()

    def _is_up(self) -> bool:
        return self.running.alive(DISPATCHER, self.clock()) is not None

    def _trouble(self) -> str | None:
        """What keeps the dispatcher from starting pushes, as it says itself; it may be over in a moment."""
        beat = self.running.last(DISPATCHER)
        detail = beat.detail if beat else {}
        if detail.get("reachable") is False:
            return "The Prefect server does not answer. The push is kept, and deployed when it does."
        if detail.get("workers") == []:
            return "No worker is there. The push is kept, and deployed when one is."
        failing = detail.get("failing", {}).get("pushes")
        return f"Pushes wait: {failing}. This one is kept." if failing else None

    def _show(self, push: Push) -> None:
        if push.activity_id is not None:
            activity = self.activities.get(push.activity_id)
            for step in activity.steps:
                self._show_step(activity, step)
            if activity.ended_at and push.state == "running":
                self._once(f"{push.branch}: its process ended too early; it is begun again if need be.")
            if push.state not in OPEN:
                self._show_end(push, activity)
        elif push.state not in OPEN:
            self.say(f"Branchline: {push.branch}: {push.state}: {push.reason}")
        elif push.state == "waiting" and any(each.branch == push.branch for each in self.pushes.running()):
            self._once(f"{push.branch}: another push of this branch runs; this one is next.")

    def _once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(f"  {line}")

    def _show_step(self, activity: Activity, step: Step) -> None:
        key = (activity.id, step.seq)
        if self._shown.get(key) == step.state:
            return
        if key not in self._shown and step.state == "begun":
            self.say(f"  {activity.environment}: {step.name} ...")
        elif step.ended_at is not None:
            seconds = (step.ended_at - step.started_at).total_seconds()
            self.say(
                f"  {activity.environment}: {step.name} {step.state} ({seconds:.1f} s) {step.detail}".rstrip()
            )
        self._shown[key] = step.state

    def _show_end(self, push: Push, activity: Activity) -> None:
        path = f"{activity.project}/{activity.environment}"
        seconds = ((activity.ended_at or self.clock()) - push.created_at).total_seconds()
        if push.state == "done":
            verb = "is inactive; its data are kept" if push.new is None else f"runs {push.new[:12]}"
            self.say(f"Branchline: {path} {verb} ({activity.id}, {seconds:.1f} s after the push).")
        elif push.state == "skipped":
            self.say(f"Branchline: {path}: skipped: {push.reason}")
        else:
            self.say(f"Branchline: {path}: FAILED: {push.reason}", *self._end_of_log(activity))
        for warning in activity.warnings:
            self.say(f"  warning: {warning}")

    def _end_of_log(self, activity: Activity) -> Sequence[str]:
        """Redacted as it was stored; nothing when it lies on another machine, or is none."""
        try:
            with self.layout.log(activity.id).open("rb") as log:
                log.seek(max(0, os.fstat(log.fileno()).st_size - MOST_OF_A_LOG))
                lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
        except OSError:
            lines = []
        return [*(f"    {line}" for line in lines), f"  next: branchline activity show {activity.id}"]


def _own(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What the hook has set itself: the pusher's environment may speak of another Branchline."""
    ours = ("BRANCHLINE_HOME", "BRANCHLINE_STATE_URL")
    return {name: value for name, value in environ.items() if name not in OVERRIDES or name in ours}


def _not_written(project: str, error: Exception) -> Failed:
    reason = (
        f"{reason_of(error)} Next: {error.hint}" if isinstance(error, BranchlineError) else reason_of(error)
    )
    return Failed(
        178,
        f"The branches have moved, but the outbox could not be written: {reason}",
        f"branchline up finds and deploys them within a minute; so does: branchline push scan {project}",
    )


def _printable(text: str) -> str:
    """Nothing in it can command a terminal."""
    readable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in readable)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
