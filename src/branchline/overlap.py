"""Making the next items in threads of their own while one is used, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore
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


class Aside:
    """Work that nothing waits for, for a pool to do. Where `most` pieces wait for the pool, whoever brings another does it at once."""

    def __init__(self, pool: Executor, most: int) -> None:
        self._pool, self._room = pool, Semaphore(most)
        self._failure: BaseException | None = None

    def put(self, work: Callable[[], None]) -> None:
        """From any thread. Raises what ended the piece that is done at once."""
        if self._room.acquire(blocking=False):
            self._pool.submit(self._do, work)
        else:
            work()

    def check(self) -> None:
        """Called when the pool is done: raises what ended a piece."""
        if self._failure is not None:
            raise self._failure

    def _do(self, work: Callable[[], None]) -> None:
        self._room.release()
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - `check` raises it
            self._failure = error


def _worked_on(work: Callable[[_Item], _Done], coming: Future[_Item | None]) -> tuple[_Done] | None:
    item = coming.result()
    return None if item is None else (work(item),)
