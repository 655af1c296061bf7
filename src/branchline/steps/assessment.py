"""What an operation would do now and what speaks against it: told by `plan`, and asked again under the lease."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from branchline.domain.environment import Environment
from branchline.domain.gates import NOTHING, Facts, Override, Verdict, judge
from branchline.errors import BadInput, Refused
from branchline.platform import Platform, Work
from branchline.steps.gates import answered
from branchline.steps.told import settings_fingerprint

HASH_DIGITS = 12


class Held(Refused):
    """Nothing but gates stands in the way, and time or people can still open each of them."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing, beside gates, that speaks against an operation.

    `about` stands for it in the plan's hash where its words have figures that change while nothing moves.
    """

    words: str
    about: str = ""

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Assessment:
    """`basis` is what it was computed from: what must not have moved for a plan to still be true.

    `skip` says why there would be nothing to do.
    """

    facts: Facts
    against: Sequence[Reason]
    skip: str | None
    commit: str | None
    basis: Mapping[str, Any]

    @property
    def digest(self) -> str | None:
        return self.facts.digest

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of all gates, before anybody overrides one."""
        return judge(self.facts)

    @property
    def may_open(self) -> bool:
        """Whether only gates stand in the way, and each can still be opened by time or people."""
        held = [each for each in self.verdicts if each.holds]
        return bool(held) and not self.against and all(each.may_open for each in held)

    @property
    def hash(self) -> str:
        """The same as long as nothing moves: neither time nor who asks changes it."""
        known = {
            **self.basis,
            "commit": self.commit,
            "gates": {each.gate: each.passed for each in self.verdicts},
            "against": sorted(each.about or each.words for each in self.against),
            "skip": self.skip,
        }
        canonical = json.dumps(known, sort_keys=True, separators=(",", ":")).encode()
        return hashlib.sha256(canonical).hexdigest()[:HASH_DIGITS]


def place(platform: Platform, environment: Environment) -> Mapping[str, Any]:
    """An environment as it stands, for a basis."""
    running = platform.current(environment) if environment.deployment_id else None
    return {
        "environment": environment.path,
        "status": environment.status,
        "deployment": running.id if running else None,
        "data": dict(running.data) if running else {},
    }


def settings_of(platform: Platform, environment: Environment, commit: str) -> str:
    """Changes when the application would be told something else there."""
    return settings_fingerprint(platform, environment, platform.app(environment.project, commit))


def decide(
    work: Work,
    assessment: Assessment,
    number: int,
    what: str,
    hint: str,
    *,
    force: bool = False,
    retry_bad: str | None = None,
    override: Override = NOTHING,
    plan: str | None = None,
) -> None:
    """Lets the operation go on, or marks it as skipped. What was overridden becomes a warning of the activity.

    Raises Refused with every reason and every gate that holds; Held when time or people can open them all.
    """
    platform, facts, actor = work.platform, assessment.facts, work.activity.actor
    check_plan(assessment, plan, hint)
    skip = None if force else assessment.skip
    verdicts = () if skip else answered(platform, assessment.verdicts, facts, override, retry_bad, actor)
    held = [each for each in verdicts if each.holds]
    if assessment.against or held:
        listed = "".join(f"\n  - {reason}" for reason in [*assessment.against, *held])
        waits = not assessment.against and all(each.may_open for each in held)
        refusal = Held if waits else Refused
        raise refusal(number, f"{what} is refused:{listed}", hint)
    for each in verdicts:
        if each.override_by and each.gate == "bad-artifact":
            work.operation.warn(f"gate {each.gate} was lifted by {actor}: {retry_bad}")
        elif each.override_by:
            work.operation.warn(f"gate {each.gate} was overridden by {actor}: {override.reason}")
    if retry_bad and facts.bad and facts.digest:
        platform.store.artifacts.lift(work.grip, work.environment, facts.digest, retry_bad, platform.clock())
    if skip:
        work.operation.skip(skip)


def check_plan(assessment: Assessment, plan: str | None, hint: str) -> None:
    """Raises Refused when what the plan was computed from has moved, BadInput for what is no plan's hash."""
    if plan is None:
        return
    if not re.fullmatch(rf"[0-9a-f]{{{HASH_DIGITS}}}", plan):
        raise BadInput(225, f"{plan[:40]!a} is not the hash of a plan: {HASH_DIGITS} of 0-9 a-f.", hint)
    if plan != assessment.hash:
        raise Refused(
            224,
            f"The plan {plan} is not true any more: something that it was computed from has moved. "
            f"Now it would be {assessment.hash}.",
            f"{hint}, and look at what has moved",
        )
