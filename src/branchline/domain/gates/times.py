"""How gates say lengths and moments."""

from __future__ import annotations

from datetime import datetime

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def length(seconds: float) -> str:
    """In its two largest units: `12 min`, `2 h 30 min`, `1 d`."""
    left, said = int(seconds), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            said.append(f"{count} {unit}")
        elif said:
            break
    return " ".join(said[:2]) or "0 s"


def moment(then: datetime, now: datetime) -> str:
    """`14:30 UTC`, with its date when that is another day. Rounded up to the minute: by then it has come."""
    minute = then.replace(second=0, microsecond=0)
    up = minute if minute == then else datetime.fromtimestamp(minute.timestamp() + 60, tz=then.tzinfo)
    return f"{up:%H:%M} UTC" if up.date() == now.date() else f"{up:%Y-%m-%d %H:%M} UTC"
