"""Making the next items in threads of their own while one is used, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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


def several_ahead(
    work: Callable[[_Item], _Done], items: Iterable[_Item], at_once: int
) -> Generator[_Done, None, None]:
    """What `work` gives for each item, in their order; so many are worked on while one is used."""
    with ThreadPoolExecutor(at_once, "several") as pool:
        waiting: deque[Future[_Done]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
