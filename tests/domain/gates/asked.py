"""A promotion of artifact A from store/staging to store/production at noon, to be changed where a test needs it."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from branchline.domain.approval import GivenApproval
from branchline.domain.gates import Facts
from branchline.domain.plan import TierRules

NOON = datetime(2026, 7, 3, 12, tzinfo=UTC)
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
_RULES = {field.name for field in fields(TierRules)}


def facts(**given: Any) -> Facts:
    """Keys of a tier go to its rules; `given` is what people said."""
    approvals = given.pop("given", ())
    rules = TierRules(
        "production", promoted_from="staging", **{key: given.pop(key) for key in given.keys() & _RULES}
    )
    usual = {
        "way": "promotion",
        "at": NOON,
        "target": "store/production",
        "tier": "production",
        "digest": A,
        "source": "store/staging",
    }
    return Facts(rules=rules, approvals=approvals, **(usual | given))


def said(person: str, decision: Any = "approve", *, signed: bool = True, problem: str | None = None):
    return GivenApproval(person, decision, signed, "SHA256:x" if signed else None, "", problem)


def wall(text: str) -> datetime:
    """A local time of a freeze."""
    return datetime.fromisoformat(text)
