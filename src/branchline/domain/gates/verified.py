"""The same artifact was in front on another tier, and is not bad there."""

from __future__ import annotations

from branchline.domain.gates.facts import Facts, Verdict, not_asked


def verified(facts: Facts) -> Verdict:
    """On any environment of the tier, where it has several."""
    tier = facts.rules.verified_on
    if tier is None:
        return not_asked("verified", facts)
    good = [each for each in facts.seen if each.in_front and not each.bad]
    if good:
        return Verdict("verified", passed=True, reason=f"this artifact was in front on {good[0].path}")
    bad = [each for each in facts.seen if each.bad]
    if bad:
        return Verdict("verified", passed=False, reason=f"it failed on {bad[0].path}: {bad[0].bad}")
    where = ", ".join(each.path for each in facts.seen) or tier
    return Verdict("verified", passed=False, reason=f"this artifact was never in front on {where}")
