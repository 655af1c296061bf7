"""When a cron specification is due, as far as it can be said without a clock."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from cronsim import CronSim, CronSimError

FIELDS = 5


def smallest_gap(spec: str) -> int:
    """Minutes between the two closest times of a five-field cron specification.

    Days are taken to follow one another, so a specification that is due on single days only is judged as
    strictly as a daily one. Raises ValueError when it is no cron specification.
    """
    if len(spec.split()) != FIELDS:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    try:
        parsed = CronSim(spec, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"is no cron specification: {str(error).lower()}") from error
    times = sorted(60 * hour + minute for hour in parsed.hours for minute in parsed.minutes)
    return min(after - before for before, after in pairwise([*times, times[0] + 24 * 60]))
