"""Waiting for a condition, with a limit that only a hang reaches."""

import time
from collections.abc import Callable

LIMIT_SECONDS = 60.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
