"""Who runs what: written down by the process that does, and taken over by one at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from branchline.domain.activity import Holder
from branchline.domain.running import SILENT
from tests.operations.bench import bench

ONE = Holder("harbour", "boot", 10, 100.0)
TWO = replace(ONE, pid=11)
RUN = "5d0e9a5c-6c4c-4a0e-b9a2-6ff2d1b1ad0a"


@pytest.fixture
def running(tmp_path):
    with bench(tmp_path) as made:
        yield made.store.running, made.now


def test_a_flow_run_is_there_from_its_beginning_to_its_end(running):
    state, now = running
    state.began(RUN, ONE, now)
    (found,) = state.flow_runs()
    assert (found.id, found.holder, found.began_at) == (RUN, ONE, now)
    state.ended(RUN, ONE)
    assert state.flow_runs() == []


def test_the_end_of_the_process_before_does_not_hide_the_one_that_runs_it_again(running):
    state, now = running
    state.began(RUN, ONE, now)
    state.began(RUN, TWO, now)
    state.ended(RUN, ONE)
    assert [each.holder for each in state.flow_runs()] == [TWO]


def test_of_two_that_saw_a_name_free_one_gets_it(running):
    state, now = running
    assert state.take("dispatcher", ONE, now, {}, instead_of=None)
    assert not state.take("dispatcher", TWO, now, {}, instead_of=None)
    assert state.last("dispatcher").holder == ONE


def test_a_name_is_not_taken_from_one_that_has_given_a_sign_of_life_since(running):
    state, now = running
    state.take("dispatcher", ONE, now, {}, instead_of=None)
    seen = state.last("dispatcher")
    state.beat("dispatcher", ONE, now + timedelta(seconds=5), {})
    assert not state.take("dispatcher", TWO, now, {}, instead_of=seen)
    assert state.take("dispatcher", TWO, now, {}, instead_of=state.last("dispatcher"))


def test_whoever_lost_a_name_is_told_so_and_gives_up_nothing_of_the_other(running):
    state, now = running
    state.take("dispatcher", ONE, now, {}, instead_of=None)
    state.take("dispatcher", TWO, now, {}, instead_of=state.last("dispatcher"))
    assert not state.beat("dispatcher", ONE, now, {"since": "long ago"})
    state.leave("dispatcher", ONE)
    assert state.last("dispatcher").holder == TWO
    state.leave("dispatcher", TWO)
    assert state.last("dispatcher") is None


def test_a_sign_of_life_counts_for_a_while(running):
    state, now = running
    state.take("dispatcher", ONE, now, {"reachable": True}, instead_of=None)
    assert state.alive("dispatcher", now + SILENT / 2).detail == {"reachable": True}
    assert state.alive("dispatcher", now + SILENT) is None
    assert state.alive("worker", now) is None
