"""What the gates are asked about, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from branchline.domain.approval import GivenApproval
from branchline.domain.environment import Tier
from branchline.domain.plan import TierRules

GateName = Literal["bad-artifact", "soak", "verified", "approval", "freeze", "parity", "backup"]
Way = Literal["deploy", "redeploy", "promotion", "release", "rollback", "sync"]
"""How it comes in. A push or merge is a deploy; `redeploy`: the artifact that runs there already."""


@dataclass(frozen=True, slots=True)
class Front:
    """An artifact was in front on an environment without a break; `until` is None while it is."""

    digest: str
    since: datetime
    until: datetime | None

    def seconds(self, now: datetime) -> float:
        return max(0.0, ((self.until or now) - self.since).total_seconds())


@dataclass(frozen=True, slots=True)
class Side:
    """What parity compares of one environment: names of its variables (never values), types of services, schemas.

    A schema is the fingerprint of a database of the target as it is; of the source, as it was when that ran the artifact
    that the target runs now. None where nothing tells it.
    """

    variables: frozenset[str] = frozenset()
    services: Mapping[str, str] = field(default_factory=dict)
    schemas: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether an environment ever had the artifact in front, and why it is bad there."""

    path: str
    in_front: bool
    bad: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that gates know; what no gate of the tier asks for is left empty.

    `digest` is None for what was never built. `fronts` are the source's, the oldest first. `release` is the id of an
    approved thing, None for what has no release. `backups`: when the newest of each database (of each mount, where
    there is no database) was made, None for never; empty where the target has no data.
    """

    way: Way
    at: datetime
    target: str
    tier: Tier
    rules: TierRules
    digest: str | None
    bad: str | None = None
    source: str | None = None
    source_bad: str | None = None
    fronts: tuple[Front, ...] = ()
    seen: tuple[Seen, ...] = ()
    release: str | None = None
    author: str | None = None
    approvals: tuple[GivenApproval, ...] = ()
    source_side: Side | None = None
    target_side: Side | None = None
    backups: Mapping[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer, in plain words. `may_open`: time, or people, can still open it.

    `override_by` is who has taken the responsibility for going through all the same.
    """

    gate: GateName
    passed: bool
    reason: str
    may_open: bool = False
    override_by: str | None = None

    @property
    def holds(self) -> bool:
        return not self.passed and self.override_by is None

    @property
    def state(self) -> Literal["passed", "held", "overridden"]:
        if self.passed:
            return "passed"
        return "held" if self.holds else "overridden"

    def __str__(self) -> str:
        return f"{self.gate}: {self.reason}"


def not_asked(gate: GateName, facts: Facts) -> Verdict:
    """Of a gate that the tier's rules do not close."""
    return Verdict(gate, passed=True, reason=f"not asked for on {facts.tier}")
