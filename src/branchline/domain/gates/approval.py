"""Enough people have approved the release, and nobody has rejected it."""

from __future__ import annotations

from branchline.domain.approval import GivenApproval
from branchline.domain.gates.facts import Facts, Verdict, not_asked


def approval(facts: Facts) -> Verdict:
    """Each person counts once. A rejection that is worth something holds, whether approvals are asked for or not."""
    needed = facts.rules.approvals.count
    rejecting = [each.person for each in facts.approvals if each.decision == "reject" and not each.problem]
    if rejecting:
        return Verdict("approval", passed=False, reason=f"rejected by {', '.join(rejecting)}", may_open=True)
    if not needed:
        return not_asked("approval", facts)
    if facts.release is None:
        how = f"branchline release create {facts.target.partition('/')[0]} {facts.tier} --at TIME"
        return Verdict(
            "approval",
            passed=False,
            reason=f"{facts.tier} asks for {_approvals(needed)}, which only a release can be given: {how}",
        )
    worth = [(each, _why_not(each, facts)) for each in facts.approvals]
    counted = {each.person.casefold(): each.person for each, why_not in worth if why_not is None}
    names = f" ({', '.join(counted.values())})" if counted else ""
    given = f"{len(counted)} of {_approvals(needed)}{names}"
    if len(counted) >= needed:
        return Verdict("approval", passed=True, reason=given)
    others = "".join(
        f"; {each.person}'s does not count: {why_not}"
        for each, why_not in worth
        if why_not and each.person.casefold() not in counted
    )
    return Verdict(
        "approval",
        passed=False,
        reason=f"{given}{others}; next: branchline release approve {facts.release}",
        may_open=True,
    )


def _why_not(given: GivenApproval, facts: Facts) -> str | None:
    """Why one decision is no approval that counts here; None when it is."""
    rules = facts.rules.approvals
    if given.decision != "approve":
        return f"it is a rejection, and {given.problem}"
    if given.problem:
        return given.problem
    if rules.signed and not given.signed:
        return "it is not signed"
    if rules.separation and given.person.casefold() == (facts.author or "").casefold():
        return f"{given.person} is the release's author"
    return None


def _approvals(count: int) -> str:
    return "1 approval" if count == 1 else f"{count} approvals"
