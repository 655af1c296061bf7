"""A person takes the responsibility for going through a closed gate, and says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from branchline.domain.gates.facts import Facts, GateName, Verdict
from branchline.domain.gates.freeze import may_override
from branchline.errors import BadInput, Refused

OVERRIDABLE: tuple[GateName, ...] = ("soak", "verified", "approval", "freeze", "parity", "backup")


@dataclass(frozen=True, slots=True)
class Override:
    """Which gates, and why."""

    gates: tuple[GateName, ...] = ()
    reason: str = ""


NOTHING = Override()


def override_of(names: Sequence[str] | None, reason: str | None) -> Override:
    """What was asked for. Raises BadInput for an unknown gate or without a reason, Refused for one that is only lifted."""
    names = names or ()
    if "bad-artifact" in names:
        raise Refused(
            222,
            "The gate bad-artifact is not overridden: an artifact that failed is tried again when there is a reason to.",
            '--retry-bad "why it may be tried again"',
        )
    unknown = sorted(str(name)[:40] for name in names if name not in OVERRIDABLE)
    if unknown:
        raise BadInput(
            221,
            f"There is no gate {unknown[0]!a}; there are: {', '.join(OVERRIDABLE)}.",
            "branchline plan shows the gates of an operation",
        )
    if names and not (reason or "").strip():
        raise BadInput(
            220,
            "A gate is overridden for a reason, and none was given.",
            '--reason "why it goes ahead all the same"',
        )
    return Override(tuple(gate for gate in OVERRIDABLE if gate in names), (reason or "").strip())


def overridden(
    verdicts: Sequence[Verdict], facts: Facts, override: Override, actor: str, ui_actor: str
) -> tuple[Verdict, ...]:
    """Those that hold and are overridden say by whom. Raises Refused where the actor may not.

    What passes anyway is left as it is: nobody had to answer for it.
    """
    return tuple(
        _taken(each, facts, actor, ui_actor) if each.holds and each.gate in override.gates else each
        for each in verdicts
    )


def _taken(verdict: Verdict, facts: Facts, actor: str, ui_actor: str) -> Verdict:
    tier = facts.rules.may_override
    by_tier = actor != ui_actor if tier is None else actor in tier
    window = may_override(facts) if verdict.gate == "freeze" else None
    if by_tier and (window is None or actor in window):
        return replace(verdict, override_by=actor)
    allowed = tier if window is None else [each for each in window if tier is None or each in tier]
    nobody = "nobody" if window is not None or tier is not None else "whoever works on the command line"
    raise Refused(
        223,
        f"{actor} may not override the gate {verdict.gate} of {facts.target}; "
        f"who may: {', '.join(allowed or ()) or nobody}. It holds: {verdict.reason}.",
        "wait until it opens, or ask one of them" if verdict.may_open else "ask one of them",
    )
