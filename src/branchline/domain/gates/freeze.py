"""Nothing changes there for now: a freeze is on."""

from __future__ import annotations

from branchline.domain.calendar import in_words
from branchline.domain.freeze import all_frozen, frozen
from branchline.domain.gates.facts import Facts, Verdict, not_asked


def freeze(facts: Facts) -> Verdict:
    """Of several that are on, the one that ends last is told."""
    if not facts.rules.freezes:
        return not_asked("freeze", facts)
    found = frozen(facts.rules.freezes, facts.at)
    if found is None:
        return Verdict("freeze", passed=True, reason="no freeze is on")
    window, ends = found
    return Verdict(
        "freeze",
        passed=False,
        reason=f"{window.reason}, until {in_words(ends, window.zone)}",
        may_open=True,
    )


def may_override(facts: Facts) -> tuple[str, ...]:
    """Those whom every freeze that is on lets through."""
    on = [set(window.may_override) for window, _ in all_frozen(facts.rules.freezes, facts.at)]
    return tuple(sorted(set.intersection(*on))) if on else ()
