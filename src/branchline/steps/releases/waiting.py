"""What speaks against a release now, and whether it may speak no more later."""

from __future__ import annotations

from branchline.domain.gates import Verdict, judge
from branchline.domain.release import Release
from branchline.errors import BranchlineError
from branchline.platform import Platform
from branchline.steps.gates import facts_for
from branchline.steps.promote import assess_promotion, environment_at


def why_it_waits(platform: Platform, release: Release) -> str | None:
    """The gates that hold, when nothing but they stand in the way and time or people can open each; else None.

    What cannot be asked is left to the release's own operation, which says what is wrong.
    """
    try:
        verdicts, against = verdicts_now(platform, release)
    except BranchlineError:
        return None
    held = [each for each in verdicts if each.holds]
    if not held or against or not all(each.may_open for each in held):
        return None
    return f"waits: {'; '.join(map(str, held))}"


def verdicts_now(platform: Platform, release: Release) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """Of all gates, and what else speaks against it. The policy and schema of a sync are looked at when it runs."""
    assert release.source is not None
    source, target = environment_at(platform, release.source), environment_at(platform, release.environment)
    if release.kind == "sync":
        running = platform.current(target) if target.deployment_id else None
        digest = running.digest if running else None
        return judge(facts_for(platform, "sync", target, digest, source=source)), ()
    assessment = assess_promotion(platform, source, target, release)
    return assessment.verdicts, tuple(map(str, assessment.against))
