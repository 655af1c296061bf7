"""There is a backup of what could be lost, and it is not old."""

from __future__ import annotations

from branchline.domain.gates.facts import Facts, Verdict, not_asked
from branchline.domain.gates.times import length


def backup(facts: Facts) -> Verdict:
    """Of each database of the target; of each mount, where it has no database."""
    within = facts.rules.backup_within
    if within is None:
        return not_asked("backup", facts)
    if not facts.backups:
        return Verdict("backup", passed=True, reason=f"{facts.target} has no data that could be lost")
    problems = []
    oldest = 0.0
    for slot, made in sorted(facts.backups.items()):
        what = " ".join(slot.split(":", 1))
        if made is None:
            problems.append(f"{what} of {facts.target} has no backup that Branchline made")
            continue
        age = (facts.at - made).total_seconds()
        oldest = max(oldest, age)
        if age > within:
            problems.append(f"the newest backup of {what} is {length(age)} old")
    if problems:
        return Verdict(
            "backup", passed=False, reason=f"{'; '.join(problems)}; at most {length(within)} are asked for"
        )
    return Verdict(
        "backup", passed=True, reason=f"the newest is {length(oldest)} old, of at most {length(within)}"
    )
