"""What is told of a run on a server, in which order, and how its end is understood."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.launch.server import RunState
from branchline.launch.watching import PAGE, PATIENCE_SECONDS, Watch, error_of

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUNNING, COMPLETED = RunState("RUNNING", "Running", ""), RunState("COMPLETED", "Completed", "done")


def after(seconds):
    return BEGAN + timedelta(seconds=seconds)


def step(name, began, ended=None, *, completed=True):
    state = SimpleNamespace(
        is_final=lambda: ended is not None, is_completed=lambda: completed, timestamp=after(ended or began)
    )
    return SimpleNamespace(
        id=uuid4(),
        name=name,
        start_time=after(began),
        end_time=None if ended is None else after(ended),
        state=state,
    )


def line(message, at, of=None, level=20):
    return SimpleNamespace(
        id=uuid4(), message=message, timestamp=after(at), task_run_id=of.id if of else None, level=level
    )


class Server:
    """Answers each look with the next scene: a state or an error, the steps and the log until then."""

    url = ui = "http://server.test"

    def __init__(self, *scenes):
        self.scenes = list(scenes)
        self.steps, self.log = [], []
        self.reads = []

    def state(self, _run):
        state, self.steps, self.log = self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]
        if isinstance(state, Exception):
            raise state
        return state

    @contextmanager
    def asked(self):
        yield self

    def read_task_runs(self, **_):
        return self.steps

    def read_logs(self, wanted, limit, offset, **_):
        since = wanted.timestamp.after_ if wanted.timestamp else after(-1000)
        found = sorted(
            (each for each in self.log if each.timestamp >= since), key=lambda each: each.timestamp
        )
        self.reads.append(len(found[offset : offset + limit]))
        return found[offset : offset + limit]


class Clock:
    def __init__(self):
        self.now = 0.0

    def wait(self, seconds):
        self.now += seconds


def watched(*scenes):
    """What was told of a run of these scenes, and its last state."""
    told, clock, server = [], Clock(), Server(*scenes)
    watch = Watch(server, str(UUID(int=1)), told.append, clock.wait, lambda: clock.now)
    state = watch.until_ended()
    return [(each.event, each.text) for each in told], told, state, server


def test_lines_that_come_late_stand_where_they_were_printed():
    build = step("build", 1, 3)
    check = step("check", 4, 5)
    lines = [
        line("compiling", 2, build),
        line("healthy", 4.5, check),
        line("Finished in state Completed()", 6),
    ]
    events, told, state, _ = watched(
        (RUNNING, [step("build", 1)], []),
        (RUNNING, [build], []),
        (RUNNING, [build, check], lines[:1]),
        (COMPLETED, [build, check], lines),
    )
    assert state == COMPLETED
    assert events[-6:] == [
        ("begun", "build"),
        ("line", "compiling"),
        ("done", "build"),
        ("begun", "check"),
        ("line", "healthy"),
        ("done", "check"),
    ]
    assert told[-4].seconds == 2.0


def test_what_a_step_did_is_its_detail_and_prefects_own_words_are_left_out():
    switch = step("switch", 1, 2)
    log = [
        line("switch: store/master runs 2c26", 1.5, switch),
        line("Finished in state Completed()", 2, switch),
        line("Beginning flow run 'x'", 0),
        line("a warning", 1.7, switch, level=30),
        line("No. [B206]\n  next: so", 3, level=40),
        line("Traceback: ...", 3, level=40),
        line("Finished in state Completed()", 4),
    ]
    events, told, *_ = watched((COMPLETED, [switch], log))
    assert events == [
        ("begun", "switch"),
        ("warning", "a warning"),
        ("done", "switch"),
        ("warning", "Traceback: ..."),
    ]
    assert told[2].detail == "store/master runs 2c26"


def test_a_long_log_is_read_page_by_page_and_each_line_told_once():
    build = step("build", 0, 900)
    lines = [line(f"line {number}", number, build) for number in range(2 * PAGE + 7)]
    last = line("Finished in state Completed()", 901)
    events, _, _, server = watched(
        (RUNNING, [build], lines[:10]), (RUNNING, [build], lines), (COMPLETED, [build], [*lines, last])
    )
    assert [text for event, text in events if event == "line"] == [each.message for each in lines]
    assert server.reads[-1] < PAGE  # only what is new, and a little before


def test_a_step_that_failed_is_told_as_failed():
    events, *_ = watched(
        (COMPLETED, [step("check", 1, 2, completed=False)], [line("Finished in state X", 3)])
    )
    assert ("failed", "check") in events


def test_a_run_that_no_worker_takes_is_said_once():
    late = RunState("SCHEDULED", "Late", "")
    events, *_ = watched((late, [], []), (late, [], []), (COMPLETED, [], [line("Finished in state X", 1)]))
    assert events == [("warning", "no worker has taken it yet")]


def test_a_server_that_is_restarted_meanwhile_is_waited_for():
    away = Unavailable(350, "away")
    done = (COMPLETED, [], [line("Finished in state X", 1)])
    assert watched((RUNNING, [], []), (away, [], []), (away, [], []), done)[2] == COMPLETED


def test_a_server_that_stays_away_is_given_up():
    clock = Clock()
    watch = Watch(
        Server((Unavailable(350, "away"), [], [])), str(UUID(int=1)), print, clock.wait, lambda: clock.now
    )
    with pytest.raises(Unavailable):
        watch.until_ended()
    assert clock.now == pytest.approx(PATIENCE_SECONDS, abs=3)


def test_a_run_that_does_not_end_when_told_to_is_said():
    clock = Clock()
    watch = Watch(Server((RUNNING, [], [])), str(UUID(int=1)), print, clock.wait, lambda: clock.now)
    with pytest.raises(Failed) as failed:
        watch.until_ended(60)
    assert failed.value.number == 286


@pytest.mark.parametrize(
    ("state", "kind", "number", "message", "hint"),
    [
        (("FAILED", "Refused", "No. [B206]\n  next: do it"), Refused, 206, "No.", "do it"),
        (("FAILED", "Bad input", "Two\nlines. [B333]"), BadInput, 333, "Two\nlines.", ""),
        (("FAILED", "Unavailable", "Busy. [B313]"), Unavailable, 313, "Busy.", ""),
        (("FAILED", "Failed", "Broke. [B404]\n  next: look"), Failed, 404, "Broke.", "look"),
        (("FAILED", "Failed", "KeyError: 1"), Failed, 285, "The run ended as Failed: KeyError: 1", None),
        (("CRASHED", "Crashed", "killed"), Failed, 285, "The run ended as Crashed: killed", None),
        (("CANCELLED", "Cancelled", ""), Failed, 285, "The run ended as Cancelled", None),
    ],
)
def test_a_runs_state_is_the_error_that_the_command_would_have_raised(state, kind, number, message, hint):
    error = error_of(RunState(*state))
    assert type(error) is kind
    assert (error.number, error.message) == (number, message)
    assert hint in (None, error.hint)


def test_a_run_that_completed_is_no_error():
    assert error_of(COMPLETED) is None
