"""Reading waits while replication is behind, so that a sync does not keep those who follow the source from following."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from branchline.errors import Unavailable

ASKED_EVERY, PATIENCE = 1.0, 600.0
"""Seconds between two looks at the replication, and for how long one sync waits for it in a row."""


class LagWatch:
    """Makes whoever reads wait while replication is behind. For any number of threads at once."""

    def __init__(
        self,
        lag: Callable[[], float | None],
        longest: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lag, self._longest, self._sleep, self._clock = lag, longest, sleep, clock
        self._asking = threading.Lock()
        self._fine_until = 0.0

    def wait(self) -> None:
        """Returns when it is not further behind than it may be. Raises Unavailable when that takes too long."""
        with self._asking:
            began = self._clock()
            while self._clock() >= self._fine_until:
                lag = self._lag()
                if lag is not None and lag <= self._longest:
                    self._fine_until = self._clock() + ASKED_EVERY
                elif self._clock() - began > PATIENCE:
                    behind = "cannot be told any more" if lag is None else f"is {lag:.0f} s"
                    raise Unavailable(
                        537,
                        f"The source's replication lag {behind}, over the {self._longest:g} s that max_replication_lag"
                        f" allows, for {PATIENCE / 60:.0f} min.",
                        "sync when the source is less busy; nothing was switched",
                    )
                else:
                    self._sleep(ASKED_EVERY)
