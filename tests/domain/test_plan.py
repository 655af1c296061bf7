from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.config import read_plans
from branchline.domain.plan import (
    TIERS,
    Plan,
    TierRules,
    branch_refusal,
    plan_problems,
    promotion_path,
    push_refusal,
    slot,
    source_of,
    target_of,
    tier_of,
)
from branchline.errors import BadInput, Refused

PLANS = read_plans(Path(__file__).parents[2] / "config" / "plans.yaml")
STARTER, PRO = PLANS["starter"], PLANS["pro"]


@pytest.mark.parametrize(
    ("plan", "tiers"),
    [
        (
            STARTER,
            {"master": "production", "staging": "staging", "production": "integration", "x": "integration"},
        ),
        (
            PRO,
            {"master": "integration", "staging": "staging", "production": "production", "x": "integration"},
        ),
    ],
)
def test_a_branch_has_the_tier_that_its_plan_gives_it(plan, tiers):
    assert {branch: tier_of(plan, branch) for branch in tiers} == tiers


def test_starter_promotes_any_integration_branch_to_staging_and_staging_to_master():
    assert source_of(STARTER, "staging", "sprint-7") == "sprint-7"
    assert source_of(STARTER, "production") == "staging"
    assert target_of(STARTER, "production") == "master"
    with pytest.raises(BadInput, match="--from BRANCH"):
        source_of(STARTER, "staging")
    with pytest.raises(Refused, match="not from master"):
        source_of(STARTER, "staging", "master")


def test_pro_promotes_integrations_master_to_staging_and_staging_to_production():
    assert source_of(PRO, "staging") == source_of(PRO, "staging", "master") == "master"
    assert source_of(PRO, "production") == "staging"
    with pytest.raises(Refused, match="from master, not from story-1"):
        source_of(PRO, "staging", "story-1")
    assert promotion_path(PRO) == "integration master -> staging staging -> production production"


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_staging_is_never_skipped_and_nothing_is_promoted_to_integration(plan):
    with pytest.raises(Refused, match="B108"):
        source_of(plan, "production", "story-1")
    with pytest.raises(Refused, match="B107"):
        source_of(plan, "integration", "master")


def test_starter_has_four_active_environments_in_all():
    assert slot(STARTER, "integration", {"production": 1, "staging": 1, "integration": 1}) is None
    full = {"production": 1, "staging": 1, "integration": 2}
    assert slot(STARTER, "integration", full) == (
        "the plan starter has 4 slots for active environments, and 4 are active"
    )
    assert slot(STARTER, "production", {"integration": 4}) is not None


def test_pro_has_eight_in_integration_and_one_each_of_the_others():
    assert slot(PRO, "integration", {"integration": 7, "staging": 1, "production": 1}) is None
    assert "8 slots for active integration" in (slot(PRO, "integration", {"integration": 8}) or "")
    assert slot(PRO, "staging", {"integration": 8}) is None
    assert "1 slot for active production" in (slot(PRO, "production", {"production": 1}) or "")


@settings(deadline=None)
@given(st.sampled_from([STARTER, PRO]), st.lists(st.sampled_from(TIERS), max_size=20))
def test_activating_only_where_there_is_a_slot_never_exceeds_the_plan(plan, wanted):
    active = {}
    for tier in wanted:
        if slot(plan, tier, active) is None:
            active[tier] = active.get(tier, 0) + 1
    assert sum(active.values()) <= (4 if plan is STARTER else 10)
    assert active.get("staging", 0) <= 1
    assert active.get("production", 0) <= 1


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_staging_and_production_are_pushed_to_only_for_the_first_import(plan):
    for tier in ("staging", "production"):
        branch = plan.tiers[tier].branch
        assert "moved by promotion only" in (push_refusal(plan, branch, deployed=True, creates=False) or "")
        assert push_refusal(plan, branch, deployed=True, creates=True)
        assert push_refusal(plan, branch, deployed=False, creates=False)
        assert push_refusal(plan, branch, deployed=False, creates=True) is None
    assert push_refusal(plan, "story-1", deployed=True, creates=False) is None


def test_only_starter_branches_from_staging_and_production():
    assert branch_refusal(STARTER, "staging") is branch_refusal(STARTER, "master") is None
    assert branch_refusal(PRO, "staging") == "on the plan pro nothing is branched from staging"
    assert branch_refusal(PRO, "production")
    assert branch_refusal(PRO, "master") is None


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_production_asks_for_a_sandbox_and_is_backed_up(plan):
    assert plan.rules("production").sandbox_required
    assert plan.rules("production").automatic_backups
    assert not plan.rules("integration").services
    assert (plan.backup_retention, plan.kept_deployments, plan.hold_limit) == (14 * 86400, 5, 60)


def test_a_plan_without_staging_promotes_straight_to_production():
    small = Plan(
        "small", {"integration": TierRules(), "production": TierRules("main", promoted_from="integration")}
    )
    assert list(plan_problems(small)) == []
    assert source_of(small, "production", "story") == "story"
    with pytest.raises(Refused, match="has no staging tier"):
        source_of(small, "staging")


def test_a_plan_that_contradicts_itself_is_told_everything_at_once():
    broken = Plan(
        "broken",
        {
            "staging": TierRules("Main", promoted_from="production", active=3),
            "production": TierRules("main", direct_push=False),
        },
        active=2,
    )
    assert dict(plan_problems(broken)) == {
        ("tiers", "integration"): "is missing",
        ("tiers", "staging", "promoted_from"): "must be a tier below staging; is production",
        ("tiers", "staging", "active"): "is more than the plan's 2",
        (
            "tiers",
            "production",
            "direct_push",
        ): "is false and nothing is promoted there: its code could never change",
        ("tiers", "production", "branch"): "gives the same environment as the branch of staging",
    }
