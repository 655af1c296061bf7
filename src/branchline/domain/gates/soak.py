"""It has been in front on the source, and healthy, for long enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from branchline.domain.gates.facts import Facts, Front, Verdict, not_asked
from branchline.domain.gates.times import length, moment


def soak(facts: Facts) -> Verdict:
    """The longest time without a break counts, not the sum of several."""
    needed = facts.rules.soak
    if not needed:
        return not_asked("soak", facts)
    if facts.source is None or facts.digest is None:
        return Verdict(
            "soak", passed=False, reason=f"it was in front nowhere yet; {length(needed)} are asked for"
        )
    if facts.source_bad:
        return Verdict("soak", passed=False, reason=f"it failed on {facts.source}: {facts.source_bad}")
    stretches = [each for each in facts.fronts if each.digest == facts.digest]
    longest = max((each.seconds(facts.at) for each in stretches), default=0.0)
    said = f"in front on {facts.source} for {length(longest)} of {length(needed)}"
    if longest >= needed:
        return Verdict("soak", passed=True, reason=said)
    if not stretches or stretches[-1].until is not None:
        return Verdict("soak", passed=False, reason=f"{said}, and not in front there now")
    opens = stretches[-1].since + timedelta(seconds=needed)
    return Verdict("soak", passed=False, reason=f"{said}; passes at {moment(opens, facts.at)}", may_open=True)


def fronts(deployed: Iterable[tuple[str, datetime]], emptied: Sequence[datetime] = ()) -> tuple[Front, ...]:
    """From an environment's deployments, by artifact and moment, the oldest first, and the moments of its deactivations.

    Deployments of the same artifact in a row (new data, new variables) are one stretch.
    """
    events: list[tuple[datetime, str | None]] = [(at, digest) for digest, at in deployed]
    events = sorted([*events, *((at, None) for at in emptied)], key=lambda event: event[0])
    found: list[Front] = []
    for at, digest in events:
        if found and found[-1].until is None:
            if found[-1].digest == digest:
                continue
            found[-1] = Front(found[-1].digest, found[-1].since, at)
        if digest is not None:
            found.append(Front(digest, at, None))
    return tuple(found)
