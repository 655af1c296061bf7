"""Work on several items at once gives its results in their order, and ends with whoever uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.overlap import Aside, several_ahead


class BrokenError(Exception):
    pass


@given(st.integers(0, 20), st.integers(1, 4))
def test_results_come_in_the_order_of_their_items(number: int, at_once: int) -> None:
    with several_ahead(str, iter(range(number)), at_once) as results:
        assert list(results) == [str(item) for item in range(number)]


def test_a_result_may_be_nothing() -> None:
    with several_ahead(lambda _: None, iter([1, 2]), 2) as results:
        assert list(results) == [None, None]


def test_the_first_is_worked_on_before_anybody_asks() -> None:
    begun = threading.Event()
    with several_ahead(lambda _: begun.set(), iter([1]), 2):
        assert begun.wait(60)


def test_a_result_is_given_while_the_next_item_is_still_awaited() -> None:
    used = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        assert used.wait(60)
        yield 2

    with several_ahead(str, items(), 2) as results:
        assert next(results) == "1"
        used.set()
        assert list(results) == ["2"]


@pytest.mark.parametrize("breaks", ["the item", "the work"])
def test_what_breaks_ends_it_with_the_reason_after_the_results_before(breaks: str) -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        if breaks == "the item":
            raise BrokenError
        yield 3

    def work(item: int) -> int:
        if item == 3:
            raise BrokenError
        return item

    given_back = []
    with pytest.raises(BrokenError), several_ahead(work, items(), 2) as results:
        for result in results:
            given_back.append(result)  # noqa: PERF402 - those before the break count
    assert given_back == [1, 2]


def test_who_leaves_early_has_no_more_made() -> None:
    made = []

    def items() -> Iterator[int]:
        for item in range(1_000):
            made.append(item)
            yield item

    with several_ahead(str, items(), 2) as results:
        assert next(results) == "0"
    assert len(made) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("making", "working"))]


class Later(Executor):
    """A pool that begins when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def submit(self, work, /, *given, **named):
        self.waiting.append(partial(work, *given, **named))
        return Future()

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@given(most=st.integers(1, 5), pieces=st.integers(0, 12), begun=st.integers(0, 12))
def test_of_work_aside_only_so_many_pieces_wait_and_none_is_lost(most: int, pieces: int, begun: int) -> None:
    pool, done = Later(), list[int]()
    aside = Aside(pool, most)
    for number in range(pieces):
        if number == begun:
            pool.work()
        aside.put(partial(done.append, number))
        assert len(pool.waiting) <= most
        assert len(pool.waiting) + len(done) == number + 1
    pool.work()
    aside.check()
    assert sorted(done) == list(range(pieces))


def test_what_ends_a_piece_of_work_aside_is_raised_when_all_is_done() -> None:
    def breaking() -> None:
        raise OSError("broken")

    done = []
    with ThreadPoolExecutor(1) as pool:
        aside = Aside(pool, 2)
        aside.put(breaking)
        aside.put(partial(done.append, 1))
    assert done == [1]
    with pytest.raises(OSError, match=r"^broken$"):
        aside.check()
