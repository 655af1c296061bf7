"""What failed on the target is not put there again until somebody says why it may be tried."""

from __future__ import annotations

from branchline.domain.environment import short_digest
from branchline.domain.gates.facts import Facts, Verdict


def bad_artifact(facts: Facts) -> Verdict:
    """Lifted with a reason, never overridden."""
    if facts.digest is None:
        return Verdict("bad-artifact", passed=True, reason="it was never built, so it never failed")
    what = f"artifact {short_digest(facts.digest)}"
    if facts.bad is None:
        return Verdict("bad-artifact", passed=True, reason=f"{what} is not known to fail on {facts.target}")
    return Verdict(
        "bad-artifact",
        passed=False,
        reason=f"{what} failed here before: {facts.bad} (try it again with --retry-bad REASON)",
    )
