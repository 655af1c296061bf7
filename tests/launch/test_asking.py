"""A run that is asked for with a key: joined, repeated, cancelled."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import NAMESPACE_URL, uuid4, uuid5

import pytest

from branchline.errors import Failed, Refused
from branchline.launch.asking import TimeLimit, on_server, request_key
from branchline.launch.server import RunState

SCHEDULED, RUNNING = RunState("SCHEDULED", "Scheduled", ""), RunState("RUNNING", "Running", "")
COMPLETED, CANCELLED = RunState("COMPLETED", "Completed", "deployed"), RunState("CANCELLED", "Cancelled", "")
CANCELLING = RunState("CANCELLING", "Cancelling", "")
REFUSED = RunState("FAILED", "Refused", "No. [B206]")


def run_of(attempt):
    return str(uuid5(NAMESPACE_URL, f"k:{attempt}"))


class Server:
    """Its runs by key; each is in one state after the other, an exception among them is raised by the look."""

    url = ui = "http://server.test"

    def __init__(self, **runs):
        self.states = {run_of(attempt[1:]): list(states) for attempt, states in runs.items()}
        self.started, self.cancelled = [], []
        self.interrupt = None

    def start(self, deployment, _parameters, *, key, **_):
        self.started.append((deployment, key))
        if self.interrupt:
            error, self.interrupt = self.interrupt, None
            raise error
        return str(uuid5(NAMESPACE_URL, key))

    def state(self, run):
        states = self.states[run]
        state = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(state, BaseException):
            raise state
        return state

    def cancel(self, run):
        self.cancelled.append(run)
        self.states[run] = self.states[run][-1:]

    @contextmanager
    def asked(self):
        yield self

    def read_task_runs(self, **_):
        return []

    def read_logs(self, *_, **__):
        return [
            SimpleNamespace(
                id=uuid4(),
                message="Finished in state",
                timestamp=datetime.now(UTC),
                task_run_id=None,
                level=20,
            )
        ]


class Watcher:
    def __init__(self):
        self.runs, self.lines = [], []

    def started(self, run, _page):
        self.runs.append(run)

    def happened(self, happening):
        self.lines.append(happening.text)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("branchline.launch.watching.POLL_SECONDS", 0.0)


def ask(server):
    watcher = Watcher()
    return on_server(server, "deploy_environment", {"environment": "store/master"}, "k", watcher), watcher


def test_a_key_is_the_same_for_the_same_words_only():
    words = {"environment": "store/master", "ref": None}
    assert request_key("deploy", words, "p1") == request_key("deploy", dict(reversed(words.items())), "p1")
    others = [
        request_key("sync", words, "p1"),
        request_key("deploy", words | {"ref": "x"}, "p1"),
        request_key("deploy", words, "p2"),
        request_key("deploy", words, None),
        request_key("deploy", words, None),
    ]
    assert len({request_key("deploy", words, "p1"), *others}) == 6
    assert len(request_key("deploy", words, "x" * 5000)) < 255


def test_the_first_run_of_a_key_is_watched_to_its_end():
    server = Server(_1=[SCHEDULED, COMPLETED])
    outcome, watcher = ask(server)
    assert (outcome.outcome, outcome.run, watcher.runs) == ("success", run_of(1), [run_of(1)])
    assert server.started == [("deploy/deploy", "k:1")]
    assert watcher.lines == []


def test_one_that_succeeded_is_not_repeated():
    outcome, watcher = ask(Server(_1=[COMPLETED]))
    assert (outcome.outcome, outcome.run) == ("success", run_of(1))
    assert "asked for before" in watcher.lines[0]


@pytest.mark.parametrize("before", [REFUSED, CANCELLED, RunState("CRASHED", "Crashed", "")])
def test_one_that_failed_is_repeated_as_another(before):
    outcome, watcher = ask(Server(_1=[before], _2=[before], _3=[SCHEDULED, COMPLETED]))
    assert outcome.run == run_of(3)
    assert watcher.runs == [run_of(3)]


def test_one_that_the_job_before_cancels_is_waited_for_and_repeated():
    outcome, _ = ask(Server(_1=[CANCELLING, CANCELLING, CANCELLED], _2=[SCHEDULED, COMPLETED]))
    assert outcome.run == run_of(2)


def test_a_run_that_was_skipped_says_so():
    outcome, _ = ask(Server(_1=[SCHEDULED, RunState("COMPLETED", "Skipped", "runs already")]))
    assert (outcome.outcome, outcome.message, outcome.exit_code) == ("skipped", "runs already", 0)


def test_a_refused_run_is_raised_as_the_command_raises_it():
    with pytest.raises(Refused, match="No"):
        ask(Server(_1=[SCHEDULED, REFUSED]))


def test_a_time_limit_cancels_the_run():
    server = Server(_1=[SCHEDULED, TimeLimit(1), CANCELLED])
    with pytest.raises(Failed) as failed:
        ask(server)
    assert failed.value.number == 292
    assert server.cancelled == [run_of(1)]


def test_a_run_that_was_behind_the_switch_when_its_time_was_over_has_succeeded():
    outcome, _ = ask(Server(_1=[SCHEDULED, TimeLimit(1), COMPLETED]))
    assert outcome.outcome == "success"


@pytest.mark.parametrize("signal", [SystemExit(143), KeyboardInterrupt()])
def test_a_job_that_is_ended_cancels_its_run(signal):
    server = Server(_1=[SCHEDULED, signal, CANCELLED])
    with pytest.raises(type(signal)):
        ask(server)
    assert server.cancelled == [run_of(1)]


def test_a_job_that_is_ended_while_it_asks_finds_its_run_by_the_key_and_cancels_it():
    server = Server(_1=[CANCELLED])
    server.interrupt = SystemExit(143)
    with pytest.raises(SystemExit):
        ask(server)
    assert server.started == [("deploy/deploy", "k:1"), ("deploy/deploy", "k:1")]
    assert server.cancelled == [run_of(1)]
