"""Enough people have approved the release, and nobody has rejected it."""

from __future__ import annotations

from branchline.domain.gates.facts import Facts, GivenApproval, Verdict, not_asked


def approval(facts: Facts) -> Verdict:
    """Each person counts once. A rejection holds wherever it was given, asked for or not."""
    rules = facts.rules.approvals
    rejecting = sorted(
        {each.person for each in facts.approvals if _stands(each) and each.decision == "reject"}
    )
    if rejecting:
        return Verdict("approval", passed=False, reason=f"rejected by {', '.join(rejecting)}", may_open=True)
    if not rules.count:
        return not_asked("approval", facts)
    if facts.release is None:
        return Verdict(
            "approval",
            passed=False,
            reason=f"{facts.tier} asks for {_approvals(rules.count)}, which a release is given: "
            f"branchline release create {facts.target}",
        )
    counted = sorted({each.person for each in facts.approvals if _why_not(each, facts) is None})
    names = f" ({', '.join(counted)})" if counted else ""
    given = f"{len(counted)} of {_approvals(rules.count)}{names}"
    if len(counted) >= rules.count:
        return Verdict("approval", passed=True, reason=given)
    others = "".join(
        f"; {each.person}'s does not count: {why}"
        for each in facts.approvals
        if each.person not in counted and (why := _why_not(each, facts))
    )
    return Verdict(
        "approval",
        passed=False,
        reason=f"{given}{others}; next: branchline release approve {facts.release}",
        may_open=True,
    )


def _why_not(given: GivenApproval, facts: Facts) -> str | None:
    """Why one approval does not count here; None when it does."""
    if given.problem:
        return given.problem
    if given.decision != "approve":
        return "it is a rejection"
    if facts.rules.approvals.signed and not given.signed:
        return "it is not signed"
    if facts.rules.approvals.separation and given.person == facts.author:
        return "its author does not count"
    return None


def _stands(given: GivenApproval) -> bool:
    return given.problem is None


def _approvals(count: int) -> str:
    return "1 approval" if count == 1 else f"{count} approvals"
