"""Making the next items in threads of their own while one is used, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Has the next item made in a thread of its own while the one before is used."""
    with ThreadPoolExecutor(1, "ahead") as pool:
        coming: Future[_Item | None] = pool.submit(next, items, None)
        while (ready := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield ready


@contextmanager
def several_ahead(
    work: Callable[[_Item], _Done], items: Iterator[_Item], at_once: int
) -> Iterator[Iterator[_Done]]:
    """What `work` gives for each item, in their order. Begun at once: so many are made and worked on while one is used."""
    making, working = ThreadPoolExecutor(1, "making"), ThreadPoolExecutor(at_once, "working")

    def begun() -> Future[tuple[_Done] | None]:
        return working.submit(_worked_on, work, making.submit(next, items, None))

    def results() -> Iterator[_Done]:
        while (done := waiting.popleft().result()) is not None:
            waiting.append(begun())
            yield done[0]

    waiting = deque(begun() for _ in range(at_once))
    try:
        yield results()
    finally:
        for pool in (making, working):
            pool.shutdown(cancel_futures=True)


def _worked_on(work: Callable[[_Item], _Done], coming: Future[_Item | None]) -> tuple[_Done] | None:
    item = coming.result()
    return None if item is None else (work(item),)
