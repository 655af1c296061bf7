import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.gates.approval import approval
from branchline.domain.plan import Approvals
from tests.domain.gates.asked import facts, said

NEXT = "next: branchline release approve r-1"
TWO = Approvals(count=2, separation=True)


def judged(*said, rules=TWO):
    """Of release r-1, which ann has made."""
    return approval(facts(way="release", approvals=rules, given=said, release="r-1", author="ann"))


@pytest.mark.parametrize(
    ("given", "passed", "reason"),
    [
        ([], False, f"0 of 2 approvals; {NEXT}"),
        ([said("bob")], False, f"1 of 2 approvals (bob); {NEXT}"),
        ([said("bob"), said("eve")], True, "2 of 2 approvals (bob, eve)"),
        ([said("bob"), said("bob")], False, f"1 of 2 approvals (bob); {NEXT}"),
        ([said("bob"), said("Bob")], False, f"1 of 2 approvals (Bob); {NEXT}"),
        (
            [said("bob"), said("Ann")],
            False,
            f"1 of 2 approvals (bob); Ann's does not count: Ann is the release's author; {NEXT}",
        ),
        (
            [said("bob"), said("eve", signed=False)],
            False,
            f"1 of 2 approvals (bob); eve's does not count: it is not signed; {NEXT}",
        ),
        (
            [said("bob"), said("eve", problem="it was given before the release was changed")],
            False,
            f"1 of 2 approvals (bob); eve's does not count: it was given before the release was changed; {NEXT}",
        ),
        ([said("bob"), said("eve"), said("kim", "reject")], False, "rejected by kim"),
        (
            [said("bob"), said("eve"), said("kim", "reject", problem="it was altered")],
            True,
            "2 of 2 approvals (bob, eve)",
        ),
    ],
)
def test_as_many_people_as_are_asked_for_have_approved(given, passed, reason):
    verdict = judged(*given)
    assert (verdict.passed, verdict.reason, verdict.may_open) == (passed, reason, not passed)


def test_without_separation_the_author_counts_and_a_tier_may_take_claims():
    easy = Approvals(count=1, signed=False)
    assert judged(said("ann", signed=False), rules=easy).passed


def test_a_rejection_holds_where_no_approval_is_asked_for():
    assert not judged(said("kim", "reject"), rules=Approvals()).passed
    assert judged(said("kim", "reject", problem="it was altered"), rules=Approvals()).passed


def test_without_a_release_nobody_can_approve_and_the_way_to_one_is_said():
    verdict = approval(facts(approvals=TWO))
    assert (verdict.passed, verdict.may_open) == (False, False)
    assert verdict.reason.endswith("branchline release create store production --at TIME")


PEOPLE = st.sampled_from(["ann", "bob", "eve", "kim", "lea"])
SAYINGS = st.lists(
    st.builds(
        said,
        PEOPLE,
        st.sampled_from(["approve", "reject"]),
        signed=st.booleans(),
        problem=st.sampled_from([None, None, "altered"]),
    ),
    max_size=8,
    unique_by=lambda each: each.person,
)


@given(SAYINGS, st.integers(1, 3), st.booleans(), st.booleans())
def test_it_passes_only_with_enough_sound_approvals_of_others_and_no_sound_rejection(
    sayings, count, separation, signed
):
    sound = [each for each in sayings if each.problem is None]
    counted = {
        each.person
        for each in sound
        if each.decision == "approve"
        and (each.signed or not signed)
        and not (separation and each.person == "ann")
    }
    rejected = any(each.decision == "reject" for each in sound)
    verdict = judged(*sayings, rules=Approvals(count, separation, signed))
    assert verdict.passed == (len(counted) >= count and not rejected)
