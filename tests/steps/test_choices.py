"""What the forms offer: what exists now, and only what makes sense."""

from datetime import UTC, datetime, timedelta

import pytest

from branchline.domain.environment import Environment, Project
from branchline.domain.plan import Plan, TierRules
from branchline.domain.release import Release
from branchline.steps.choices import EnvironmentNow, Now, ProjectNow, forms

PRO = Plan(
    "pro",
    {
        "integration": TierRules(branch="master"),
        "staging": TierRules(branch="staging", promoted_from="integration"),
        "production": TierRules(branch="production", promoted_from="staging"),
    },
)
STARTER = Plan(
    "starter",
    {
        "integration": TierRules(),
        "staging": TierRules(branch="staging", promoted_from="integration"),
        "production": TierRules(branch="master", promoted_from="staging"),
    },
)
OPTIONAL = {("sync_data", "source"), ("run_release", "environment")}
TIERS = {"master": "integration", "staging": "staging", "production": "production"}


def environment(project, name, *, tier=None, runs=True, goes_back=False):
    row = Environment(
        id=1,
        project=Project(1, project, "pro"),
        name=name,
        branch=name,
        tier=tier or TIERS.get(name, "integration"),
        status="active" if runs else "inactive",
        deployment_id="d-1" if runs else None,
        hold_activity_id=None,
    )
    return EnvironmentNow(row, goes_back)


def project(name, *environments, plan=PRO, branches=("master",)):
    return ProjectNow(name, plan, environments, branches)


def offered(now, flow, field):
    return forms(now)[flow].choices[field].values


def release(number, kind="promotion"):
    now = datetime(2026, 11, 30, 13, tzinfo=UTC)
    return Release(
        id=f"r-{number}",
        seq=number,
        kind=kind,
        environment="store/production",
        source="store/staging",
        tier="production",
        digest="sha256:" + "ab" * 32 if kind == "promotion" else None,
        commit="c" * 40,
        due_at=now,
        zone="Europe/Berlin",
        latest_start_at=now + timedelta(minutes=15),
        late="ask",
        revision=1,
        state="scheduled",
        reason=None,
        author="ann",
        held_by=None,
        held_reason=None,
        timetable_id=None,
        activity_id=None,
        created_at=now,
        ended_at=None,
    )


def test_a_deploy_is_offered_to_what_runs_to_what_has_a_branch_and_to_branches_without_an_environment():
    store = project(
        "store",
        environment("store", "master"),
        environment("store", "staging"),
        environment("store", "production", runs=False),
        branches=("master", "Feature/X"),
    )
    assert offered(Now((store,)), "deploy_environment", "environment") == (
        "store/master",
        "store/staging",
        "store/feature-x",
    )


def test_a_rollback_is_offered_only_where_something_ran_before():
    store = project(
        "store",
        environment("store", "master", goes_back=True),
        environment("store", "staging"),
        environment("store", "production", runs=False, goes_back=True),
    )
    assert offered(Now((store,)), "roll_back_environment", "environment") == ("store/master",)


def test_a_promotion_is_offered_by_project_where_the_plan_says_what_is_promoted():
    store = project("store", environment("store", "master"), environment("store", "feature-x"))
    empty = project("empty", environment("empty", "master", runs=False))
    now = Now((store, empty))
    assert offered(now, "promote_to_staging", "project") == ("store",)
    assert offered(now, "promote_to_production", "project") == ()
    assert forms(now)["promote_to_staging"].without == ("source",)


def test_a_promotion_is_offered_by_environment_where_the_plan_leaves_the_choice():
    store = project("store", environment("store", "a"), environment("store", "b"), plan=STARTER)
    assert offered(Now((store,)), "promote_to_staging", "project") == ("store/a", "store/b")


def test_a_sync_is_offered_down_only_and_never_to_production():
    store = project("store", *(environment("store", name) for name in TIERS))
    alone = project("alone", environment("alone", "master"), environment("alone", "feature-x"))
    now = Now((store, alone))
    assert offered(now, "sync_data", "environment") == ("store/master", "store/staging")
    assert offered(now, "sync_data", "source") == ("production", "staging")


def test_only_active_environments_can_be_deactivated():
    store = project("store", environment("store", "master"), environment("store", "staging", runs=False))
    assert offered(Now((store,)), "deactivate_environment", "environment") == ("store/master",)


def test_projects_without_a_branch_have_nothing_to_build():
    now = Now((project("store"), project("empty", branches=())))
    assert offered(now, "build_artifact", "project") == ("store",)


def test_releases_are_offered_by_id_and_explained_in_local_time():
    choice = forms(Now(releases=(release(1), release(2, "sync"))))["approve_release"].choices["release"]
    assert choice.values == ("r-1",)
    assert (
        choice.says
        == "r-1: promote store/staging to store/production, artifact abababababab, Mon 2026-11-30 14:00 CET."
    )


def test_a_release_is_created_of_what_could_be_promoted_to_either_tier():
    store = project("store", environment("store", "a"), environment("store", "staging"), plan=STARTER)
    blog = project("blog", environment("blog", "master"))
    now = Now((store, blog))
    assert offered(now, "create_release", "project") == ("store/a", "store", "blog")
    assert forms(now)["create_release"].without == ("source",)


def test_a_release_or_an_environment_with_one_can_be_run():
    now = Now(releases=(release(1), release(2, "sync")))
    assert offered(now, "run_release", "release") == ("r-1", "r-2")
    assert offered(now, "run_release", "environment") == ("store/production",)


def test_many_releases_are_all_offered_and_some_explained():
    choice = forms(Now(releases=tuple(map(release, range(12)))))["approve_release"].choices["release"]
    assert len(choice.values) == 12
    assert choice.says.endswith("and 2 more.")


@pytest.mark.parametrize("flow", sorted(forms(Now())))
def test_a_form_without_anything_to_choose_says_what_to_do(flow):
    for field, choice in forms(Now())[flow].choices.items():
        assert choice.values == ()
        assert choice.says.startswith("Nothing to choose") or (flow, field) in OPTIONAL
