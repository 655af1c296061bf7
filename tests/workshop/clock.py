"""A clock that tests move."""

from datetime import UTC, datetime, timedelta


class Clock:
    """It goes on by a millisecond whenever it is asked, so that what comes later is later."""

    def __init__(self, now: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def on(self, **past: float) -> None:
        self.now += timedelta(**past)
