"""How an operation ends, whatever ends it."""

import os
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from branchline import operation
from branchline.domain.activity import Want
from branchline.errors import Failed, Refused, Unavailable
from branchline.state.leases import LostLease
from tests.operations.bench import Bench, bench, request


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as one:
        yield one


def test_what_an_operation_made_is_removed_newest_first_when_it_fails(made: Bench) -> None:
    with pytest.raises(ValueError, match="broken"), made.operations.run(request()) as live:
        for name in ("first", "second"):
            made.make(live, name)
        raise ValueError("broken")
    assert made.removed == ["second", "first"]
    ended = made.activity(live.id)
    assert (ended.state, ended.result) == ("complete", "failure")
    assert ended.reason == "nothing changed: ValueError: broken"
    assert made.left() == []


def test_what_was_told_several_times_is_removed_once(made: Bench) -> None:
    with made.operations.run(request()) as live:
        for name in ("first", "second", "first"):
            made.make(live, name)
    assert made.removed == ["first", "second"]
    assert made.left() == []


def test_behind_the_commit_point_an_error_changes_nothing_any_more(made: Bench) -> None:
    with pytest.raises(ValueError, match="late"), made.operations.run(request()) as live:
        made.commit(live)
        raise ValueError("late")
    assert made.finished == [live.id]
    assert made.activity(live.id).result == "success"
    assert made.left() == []


def test_a_rule_that_says_no_is_told_apart_from_a_failure(made: Bench) -> None:
    with pytest.raises(Refused), made.operations.run(request()) as live:
        raise Refused(1, "No.")
    assert made.activity(live.id).result == "refused"


def test_an_interrupt_ends_it_as_cancelled_even_when_it_was_to_be_skipped(made: Bench) -> None:
    with pytest.raises(KeyboardInterrupt), made.operations.run(request()) as live:
        live.skip("it runs already")
        raise KeyboardInterrupt
    ended = made.activity(live.id)
    assert (ended.state, ended.result) == ("cancelled", "failure")


def test_what_stands_in_the_way_of_one_removal_does_not_keep_the_others(made: Bench) -> None:
    made.refuses_removal = {"second"}
    with (
        pytest.raises(Failed, match=r"second cannot be removed.*because: ValueError: broken") as said,
        made.operations.run(request()) as live,
    ):
        for name in ("first", "second", "third"):
            made.make(live, name)
        raise ValueError("broken")
    assert said.value.number == 316
    assert [path.name for path in made.directory.iterdir()] == ["second"]
    made.refuses_removal = set()
    assert [each.id for each in made.operations.recover()] == [live.id]
    assert made.left() == []


def test_one_operation_that_cannot_be_ended_does_not_keep_others_from_recovery(made: Bench) -> None:
    names = ["environment:store/a", "environment:store/b"]
    for name in names:
        live = made.operations._begin(request(name))
        made.make(live, name.rpartition("/")[2])
    made.process_ended()
    made.refuses_removal = {"a"}
    with pytest.raises(Failed, match="a cannot be removed"):
        made.operations.recover()
    assert [lease.resource for lease in made.store.leases.held()] == ["environment:store/a"]


def test_a_finish_that_fails_leaves_the_rest_to_recovery(made: Bench) -> None:
    def broken() -> None:
        raise OSError("no space")

    made.before_finish = broken
    with (
        pytest.raises(Failed, match="could not be ended: OSError: no space"),
        made.operations.run(request()) as live,
    ):
        made.commit(live)
    assert made.activity(live.id).ended_at is None
    made.before_finish = lambda: None
    assert [each.result for each in made.operations.recover()] == ["success"]
    assert made.finished == [live.id]


def test_a_step_that_nobody_ended_is_ended_with_its_operation(made: Bench) -> None:
    live = made.operations._begin(request())
    made.store.activities.begin_step(live.grip, "prepare", made.now)
    made.process_ended()
    (ended,) = made.operations.recover()
    assert [(step.state, step.detail) for step in ended.steps] == [("failed", "cut short")]


def test_interrupted_at_any_line_nothing_is_left(made: Bench) -> None:
    """Every line of operation.py that one operation runs through, found by tracing."""
    file, line, interrupted = operation.__file__, 0, True
    while interrupted:
        made.finished.clear()
        made.now += timedelta(seconds=1)
        before = {each.id for each in made.store.activities.recent()}
        interrupted = _interrupted_at(made, file, line)
        made.process_ended()
        made.operations.recover()
        assert made.left() == [], line
        for activity in made.store.activities.recent(limit=1):
            if activity.id not in before:
                committed = activity.committed_at is not None
                assert (activity.result == "success") == committed, line
                assert bool(made.finished) == committed, line
        line += 1
    assert line > 100


def _interrupted_at(made: Bench, file: str, line: int) -> bool:
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            count += 1
            if count == line + 1:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with made.operations.run(request()) as live:
            with live.step("prepare"):
                made.make(live, f"file-{line}")
            with live.also(Want("build:key"), 0.0):
                live.output("built")
            made.commit(live)
            with live.step(operation.FINISH):
                made.operations.finish(live)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_a_heartbeat_during_which_a_lease_is_given_back_loses_nothing(tmp_path: Path) -> None:
    """The heartbeat that began while the lease was there reaches the state only after its release."""
    with bench(tmp_path, heartbeat_seconds=0.01) as made:
        renew, release = made.store.leases.renew, made.store.leases.release
        added, beating, released, beaten = (threading.Event() for _ in range(4))

        def late(*arguments: Any) -> None:
            if threading.current_thread() is threading.main_thread() or not added.is_set():
                return renew(*arguments)
            beating.set()
            assert released.wait(10)
            renew(*arguments)
            return beaten.set()

        def and_told(*arguments: Any) -> None:
            release(*arguments)
            released.set()

        made.store.leases.renew = late  # type: ignore[method-assign]
        made.store.leases.release = and_told  # type: ignore[method-assign]
        with made.operations.run(request()) as live:
            with live.also(Want("build:key"), 0.0):
                added.set()
                assert beating.wait(10)
            assert beaten.wait(10)
            assert made.abandoned == []
        assert made.activity(live.id).result == "success"


def test_an_end_right_after_a_lease_was_given_back_does_not_show_it(made: Bench) -> None:
    release = made.store.leases.release

    with made.operations.run(request()) as live:

        def released(*arguments: Any) -> None:
            release(*arguments)
            made.operations.renew(live.grip)

        made.store.leases.release = released  # type: ignore[method-assign]
        with live.also(Want("build:key"), 0.0):
            pass
    assert made.activity(live.id).result == "success"


def test_losing_the_lease_ends_the_commands_and_settles_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, heartbeat_seconds=0.01) as made:
        ended = threading.Event()
        made.operations.abandon = lambda _activity: ended.set()
        with pytest.raises(LostLease), made.operations.run(request()) as live:
            made.make(live, "file")
            made.store.leases.take_over(
                made.store.leases.held(live.id), made.operations.processes.this(), made.now, 60
            )
            assert ended.wait(10)
            live.making("file", "another")
        assert [path.name for path in made.directory.iterdir()] == ["file"]
        assert made.activity(live.id).ended_at is None


def test_an_error_after_the_lease_was_lost_removes_nothing(made: Bench) -> None:
    with pytest.raises(LostLease), made.operations.run(request()) as live:
        made.make(live, "file")
        made.store.leases.take_over(
            made.store.leases.held(live.id), made.operations.processes.this(), made.now, 60
        )
        raise ValueError("something else")
    assert [path.name for path in made.directory.iterdir()] == ["file"]


def test_another_thread_does_not_take_over_an_operation_that_is_just_beginning(made: Bench) -> None:
    begin, held = made.store.activities.begin, made.store.leases.held
    seen, ended = threading.Event(), []
    recovering = threading.Thread(target=lambda: ended.extend(made.operations.recover()))

    def and_seen(*arguments: Any) -> Any:
        found = held(*arguments)
        seen.set()
        return found

    def begin_and_wait(*arguments: Any) -> Any:
        got = begin(*arguments)
        recovering.start()
        assert seen.wait(10)
        return got

    made.store.leases.held = and_seen  # type: ignore[method-assign]
    made.store.activities.begin = begin_and_wait  # type: ignore[method-assign]
    with made.operations.run(request()) as live:
        recovering.join()
    assert ended == []
    assert made.activity(live.id).result == "success"


def test_a_fork_of_the_process_does_not_end_the_operation(made: Bench) -> None:
    here = os.getpid()
    try:
        with made.operations.run(request()) as live:
            child = os.fork()
            if child == 0:
                raise RuntimeError("in the fork")
            os.waitpid(child, 0)
            assert made.activity(live.id).ended_at is None
    finally:
        if os.getpid() != here:
            os._exit(0)
    assert made.activity(live.id).result == "success"


def test_a_clock_that_goes_back_makes_nobody_dead(made: Bench) -> None:
    with made.operations.run(request()) as live:
        made.now -= timedelta(days=1)
        with pytest.raises(Unavailable, match="is busy: deploy by ann"):
            made.operations._begin(request())
        assert made.operations.recover() == []
    assert made.activity(live.id).result == "success"


def test_settling_an_operation_twice_is_refused(made: Bench) -> None:
    with made.operations.run(request()) as live:
        made.make(live, "file")
    with pytest.raises(LostLease):
        made.operations._settle(live, None)
    assert made.removed == ["file"]


def test_the_log_of_an_operation_is_bounded(tmp_path: Path) -> None:
    with bench(tmp_path, log_limit=1000) as made, made.operations.run(request()) as live:
        for _ in range(1000):
            live.output("x" * 99)
        log = (tmp_path / f"{live.id}.log").read_text()
        assert len(log) < 1100
        assert log.endswith("(log full: 1000 bytes)\n")
