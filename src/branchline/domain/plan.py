"""A project's plan: which branches are Production and Staging, what moves up where, how much may be active.

The text under each field is its description in the configuration reference; plans are data in config/plans.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, with_config

from branchline.domain.app import FORBID_UNKNOWN
from branchline.domain.environment import Tier
from branchline.domain.freeze import FreezeWindow
from branchline.domain.names import branch_problem, environment_id
from branchline.domain.units import Seconds
from branchline.errors import BadInput, Refused

TIERS: tuple[Tier, ...] = ("integration", "staging", "production")
"""From the lowest to the highest. Code moves up, sanitized data moves down."""

ServiceName = Literal["cdn", "apm", "infrastructure_monitoring"]
Aspect = Literal["config", "services", "schema"]
"""In what a tier and the one it is promoted from can be compared."""
Count = Annotated[StrictInt, Field(ge=1)]
PersonName = Annotated[str, Field(min_length=1)]


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Approvals:
    """Who must agree to a release."""

    count: Annotated[StrictInt, Field(ge=0)] = 0
    """How many people must have approved; above 0, new code comes here by a release only."""
    separation: StrictBool = False
    """Whether the approval of the release's own author does not count."""
    signed: StrictBool = True
    """Whether only approvals count that are signed with a key of that person; Prefect's forms know no users."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class TierRules:
    """What the environments of one tier are and get."""

    branch: str | None = None
    """The branch of this tier; of integration, its main branch, where it has one."""
    active: Count | None = None
    """How many environments of this tier may be active at once; without it, only the plan's `active` counts."""
    promoted_from: Tier | None = None
    """The tier below, whose running artifact a promotion puts here; integration is promoted to from nowhere."""
    branching: StrictBool = True
    """Whether an environment may be branched from one of this tier."""
    direct_push: StrictBool = True
    """Whether people may push to its branch; where not, promotion moves it, and a push may only create it."""
    sandbox_required: StrictBool = False
    """Whether a deploy is refused on a host without bubblewrap (unless production_without_sandbox says otherwise)."""
    healthy_for: Seconds = 0.0
    """A candidate's checks succeed at least this long in a row, whatever app.yaml says."""
    automatic_backups: StrictBool = False
    """Whether backups are made on schedule."""
    services: tuple[ServiceName, ...] = ()
    """What its environments get beside the application: cdn, apm, infrastructure_monitoring."""
    nodes: Count = 1
    """On how many machines it runs."""
    soak: Seconds = 0.0
    """How long an artifact must have been in front, healthy, on the tier that it is promoted from."""
    verified_on: Tier | None = None
    """A tier on which the same artifact must have been in front without being marked bad."""
    approvals: Approvals = field(default_factory=Approvals)
    """Who must agree to what is released here."""
    freezes: tuple[FreezeWindow, ...] = ()
    """When nothing is changed here: neither code nor, by a sync, data."""
    parity: tuple[Aspect, ...] = ()
    """In what it must agree with the tier that is promoted from: config, services, schema."""
    backup_within: Seconds | None = None
    """The newest backup of each database must not be older when new code comes."""
    may_override: tuple[PersonName, ...] | None = None
    """Who may go through a closed gate; without it, everybody but runs from the Prefect UI."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class Plan:
    """A quota and a topology."""

    name: str
    """The key under `plans:`."""
    tiers: Mapping[Tier, TierRules]
    """Rules by tier: integration and production, and staging where the plan has one."""
    active: Count | None = None
    """How many environments may be active at once, all tiers together; without it, the tiers' own limits count."""
    backup_retention: Seconds = 14 * 86400.0
    """How long a backup can be restored."""
    data_retention: Seconds = 86400.0
    """How long the data version before the current one is kept, once the current one is proven."""
    kept_deployments: Count = 5
    """How many deployments of an environment can be rolled back to."""
    hold_limit: Seconds = 60.0
    """How long requests may be held; a deploy whose clone is expected to take longer is refused."""

    def rules(self, tier: Tier) -> TierRules:
        """What a tier is and gets. Raises Refused where the plan has no such tier."""
        if tier not in self.tiers:
            raise Refused(
                106, f"The plan {self.name} has no {tier} tier.", "see config/plans.yaml for its tiers"
            )
        return self.tiers[tier]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a promotion takes its artifact from. Without a branch, any of the tier: a person says which."""

    tier: Tier
    branch: str | None


def tier_of(plan: Plan, branch: str) -> Tier:
    """The tier of a branch's environment: Production's and Staging's branches by the plan, else integration."""
    tiers: tuple[Tier, ...] = ("production", "staging")
    for tier in tiers:
        if tier in plan.tiers and plan.tiers[tier].branch == branch:
            return tier
    return "integration"


def target_of(plan: Plan, tier: Tier) -> str:
    """The branch that a promotion to a tier moves. Raises Refused where the plan has no promotion there."""
    rules = plan.rules(tier)
    if rules.promoted_from is None or rules.branch is None:
        raise Refused(
            107, f"The plan {plan.name} promotes nothing to {tier}.", "push to the branch and deploy it"
        )
    return rules.branch


def source_of(plan: Plan, target: Tier, asked: str | None = None) -> str:
    """The branch whose running artifact is promoted to a tier.

    `asked` is the branch that a person named; needed where several can be the source. Raises Refused when the
    plan promotes from elsewhere, BadInput when it cannot be known without asking.
    """
    target_of(plan, target)
    source = _source(plan, target)
    if asked is None and source.branch is None:
        raise BadInput(
            109,
            f"Any {source.tier} branch can be promoted to {target} on the plan {plan.name}, and none was named.",
            f"branchline promote {target} --from BRANCH",
        )
    branch = asked if asked is not None else source.branch
    assert branch is not None
    if tier_of(plan, branch) != source.tier or source.branch not in (None, branch):
        raise Refused(
            108,
            f"The plan {plan.name} promotes to {target} from {source.branch or f'a branch of {source.tier}'}, not from {branch}.",
            f"promote {branch} along its own path first: {promotion_path(plan)}",
        )
    return branch


def promotion_path(plan: Plan) -> str:
    """The way up in words: `integration master -> staging -> production`."""
    return " -> ".join(
        f"{tier} {plan.tiers[tier].branch or '(any branch)'}" for tier in TIERS if tier in plan.tiers
    )


def slot(plan: Plan, tier: Tier, active: Mapping[Tier, int]) -> str | None:
    """Why one more environment of a tier cannot be made active, in words; None when there is a slot.

    `active` counts the environments that are active or paused now, by tier; inactive ones never count.
    """
    here, limit = active.get(tier, 0), plan.rules(tier).active
    if limit is not None and here >= limit:
        return (
            f"the plan {plan.name} has {_slots(limit)} for active {tier} environments, and {here} are active"
        )
    total = sum(active.values())
    if plan.active is not None and total >= plan.active:
        return (
            f"the plan {plan.name} has {_slots(plan.active)} for active environments, and {total} are active"
        )
    return None


def push_refusal(plan: Plan, branch: str, *, deployed: bool, creates: bool) -> str | None:
    """Why a branch may not be pushed to directly, in words; None when it may.

    A first import is let through: a push that creates the branch while its environment was never deployed.
    """
    tier = tier_of(plan, branch)
    if plan.rules(tier).direct_push or (creates and not deployed):
        return None
    return f"{branch} is the branch of {tier}: on the plan {plan.name} it is moved by promotion only"


def branch_refusal(plan: Plan, parent: str) -> str | None:
    """Why no environment may be branched from a branch's, in words; None when one may."""
    tier = tier_of(plan, parent)
    if plan.rules(tier).branching:
        return None
    return f"on the plan {plan.name} nothing is branched from {tier}"


def plan_problems(plan: Plan) -> Iterator[tuple[tuple[str, ...], str]]:
    """What makes a plan contradict itself: the place in the plan and what is wrong there."""
    for tier in ("integration", "production"):
        if tier not in plan.tiers:
            yield ("tiers", tier), "is missing"
    for tier, rules in plan.tiers.items():
        place = ("tiers", tier)
        if tier != "integration" and not rules.branch:
            yield (*place, "branch"), f"is missing; {tier} is the environment of one branch"
        if rules.branch and (problem := branch_problem(rules.branch)):
            yield (*place, "branch"), problem
        yield from (((*place, "promoted_from"), text) for text in _path_problems(plan, tier, rules))
        if not rules.direct_push and (tier == "integration" or rules.promoted_from is None):
            yield (
                (*place, "direct_push"),
                "is false and nothing is promoted there: its code could never change",
            )
        if plan.active is not None and rules.active is not None and rules.active > plan.active:
            yield (*place, "active"), f"is more than the plan's {plan.active}"
        yield from (((*place, *key), text) for key, text in _gate_problems(plan, tier, rules))
    yield from _shared_branches(plan)


def _path_problems(plan: Plan, tier: Tier, rules: TierRules) -> Iterator[str]:
    source = rules.promoted_from
    if source is None:
        return
    if TIERS.index(source) >= TIERS.index(tier):
        yield f"must be a tier below {tier}; is {source}"
    elif source not in plan.tiers:
        yield f"is {source}, a tier that this plan does not have"


def _gate_problems(plan: Plan, tier: Tier, rules: TierRules) -> Iterator[tuple[tuple[str, ...], str]]:
    if rules.promoted_from is None:
        asked = {"soak": rules.soak, "parity": rules.parity, "approvals": rules.approvals.count}
        for key in (key for key, value in asked.items() if value):
            yield (key,), f"is set and nothing is promoted to {tier}"
    seen_on = rules.verified_on
    if seen_on is not None and TIERS.index(seen_on) >= TIERS.index(tier):
        yield ("verified_on",), f"must be a tier below {tier}; is {seen_on}"
    elif seen_on is not None and seen_on not in plan.tiers:
        yield ("verified_on",), f"is {seen_on}, a tier that this plan does not have"


def _shared_branches(plan: Plan) -> Iterator[tuple[tuple[str, ...], str]]:
    seen: dict[str, Tier] = {}
    for tier in TIERS:
        branch = plan.tiers[tier].branch if tier in plan.tiers else None
        if branch is None:
            continue
        first = seen.setdefault(environment_id(branch), tier)
        if first != tier:
            yield ("tiers", tier, "branch"), f"gives the same environment as the branch of {first}"


def _source(plan: Plan, target: Tier) -> Source:
    tier = plan.rules(target).promoted_from
    assert tier is not None
    return Source(tier, plan.rules(tier).branch)


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count} slots"
