"""What must hold before code or data come to an environment: one pure function a file, from facts to a verdict in words.

A new gate is a file, a line in GATES, and the facts it needs (steps/gates.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from branchline.domain.gates.approval import approval
from branchline.domain.gates.backup import backup
from branchline.domain.gates.bad_artifact import bad_artifact
from branchline.domain.gates.facts import Facts, Front, GateName, Seen, Side, Verdict, Way
from branchline.domain.gates.freeze import freeze
from branchline.domain.gates.override import NOTHING, OVERRIDABLE, Override, overridden, override_of
from branchline.domain.gates.parity import parity
from branchline.domain.gates.soak import fronts, soak
from branchline.domain.gates.verified import verified

GATES: Mapping[GateName, Callable[[Facts], Verdict]] = {
    "bad-artifact": bad_artifact,
    "soak": soak,
    "verified": verified,
    "approval": approval,
    "freeze": freeze,
    "parity": parity,
    "backup": backup,
}
HOLDING: Mapping[Way, tuple[GateName, ...]] = {
    "deploy": tuple(GATES),
    "redeploy": ("bad-artifact", "freeze"),
    "promotion": tuple(GATES),
    "release": tuple(GATES),
    "rollback": ("bad-artifact",),
    "sync": ("freeze",),
}
"""Which gates each way in meets. A redeploy brings no code that nobody has seen there. Going back meets only the memory of
what failed: the others would trap people on a bad release. A sync changes no code.
"""


def judge(facts: Facts) -> tuple[Verdict, ...]:
    """The verdict of every gate that holds for this way in."""
    return tuple(GATES[name](facts) for name in HOLDING[facts.way])


__all__ = [
    "GATES",
    "HOLDING",
    "NOTHING",
    "OVERRIDABLE",
    "Facts",
    "Front",
    "GateName",
    "Override",
    "Seen",
    "Side",
    "Verdict",
    "Way",
    "fronts",
    "judge",
    "overridden",
    "override_of",
]
