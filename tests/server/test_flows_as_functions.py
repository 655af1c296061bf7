"""A flow is a Python function: called, it gives what it did or raises what was wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from branchline.errors import BadInput, Refused
from branchline.steps.preview import Preview
from branchline.steps.summary import Summary
from flows.deploy_environment import deploy_environment
from flows.promote_to_staging import promote_to_staging
from flows.roll_back_environment import roll_back_environment
from tests.server.tiny import Home, made_home

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, prefect_here: None) -> Iterator[Home]:
    with made_home(tmp_path_factory.mktemp("home")) as home:
        yield home


def test_deploy_promotion_and_rollback_give_what_they_did(home: Home) -> None:
    home.project("shop")
    first = deploy_environment("shop/master")
    promoted = promote_to_staging("shop")
    home.push("shop", version="2\n")
    second = deploy_environment("shop/master", ref="master")
    back = roll_back_environment("shop/master")
    for summary in (first, promoted, second, back):
        assert isinstance(summary, Summary)
        assert summary.outcome == "success"
    assert (first.before, promoted.environment) == (None, "shop/staging")
    assert second.before == first.after
    assert back.before == second.after
    activity = home.platform.store.activities.get(first.activity)
    assert activity.flow_run_id is not None


def test_a_dry_run_gives_a_preview(home: Home) -> None:
    home.project("tried")
    assert isinstance(deploy_environment("tried/master", dry_run=True), Preview)


def test_a_refusal_is_raised_with_its_number_from_inside_a_step_and_from_before_one(home: Home) -> None:
    home.project("empty")
    with pytest.raises(Refused) as refused:
        promote_to_staging("empty")
    assert refused.value.number == 206
    with pytest.raises(BadInput) as unknown:
        deploy_environment("empty/nowhere")
    assert unknown.value.number == 333
