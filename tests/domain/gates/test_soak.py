from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.gates import Front, fronts
from branchline.domain.gates.soak import soak
from tests.domain.gates.asked import NOON, A, B, facts

HOUR = 3600.0


def front(digest, began, ended=None):
    """Minutes before noon."""
    return Front(
        digest, NOON - timedelta(minutes=began), None if ended is None else NOON - timedelta(minutes=ended)
    )


@pytest.mark.parametrize(
    ("history", "passed", "may_open", "reason"),
    [
        ([front(A, 60)], True, False, "in front on store/staging for 1 h of 1 h"),
        (
            [front(A, 12)],
            False,
            True,
            "in front on store/staging for 12 min of 1 h; passes at 12:48 UTC",
        ),
        (
            [front(A, 100, 50), front(B, 50, 49), front(A, 49)],
            False,
            True,
            "in front on store/staging for 50 min of 1 h; passes at 12:11 UTC",
        ),
        ([front(A, 500, 430), front(B, 430)], True, False, "in front on store/staging for 1 h 10 min of 1 h"),
        (
            [front(A, 70, 50), front(B, 50)],
            False,
            False,
            "in front on store/staging for 20 min of 1 h, and not in front there now",
        ),
        (
            [front(B, 500)],
            False,
            False,
            "in front on store/staging for 0 s of 1 h, and not in front there now",
        ),
    ],
)
def test_the_longest_time_in_front_counts(history, passed, may_open, reason):
    verdict = soak(facts(soak=HOUR, fronts=tuple(history)))
    assert (verdict.passed, verdict.may_open, verdict.reason) == (passed, may_open, reason)


def test_a_moment_of_another_day_has_its_date():
    assert soak(facts(soak=86400.0, fronts=(front(A, 5),))).reason.endswith("passes at 2026-07-04 11:55 UTC")


def test_what_failed_on_the_source_never_soaks():
    verdict = soak(facts(soak=HOUR, fronts=(front(A, 600),), source_bad="slow"))
    assert (verdict.passed, verdict.may_open) == (False, False)
    assert verdict.reason == "it failed on store/staging: slow"


@pytest.mark.parametrize("missing", [{"digest": None}, {"source": None}])
def test_what_was_in_front_nowhere_does_not_pass(missing):
    verdict = soak(facts(soak=HOUR, **missing))
    assert (verdict.passed, verdict.may_open) == (False, False)


def test_a_tier_that_asks_for_none_is_open():
    assert soak(facts()).passed


@given(st.integers(1, 10**6), st.integers(0, 2 * 10**6))
def test_it_passes_from_the_moment_on_that_it_names(needed, past):
    began = NOON - timedelta(seconds=past)
    verdict = soak(facts(soak=needed, fronts=(Front(A, began, None),)))
    opens = began + timedelta(seconds=needed)
    assert verdict.passed == (opens <= NOON)
    assert verdict.passed or verdict.may_open
    assert soak(facts(soak=needed, fronts=(Front(A, began, None),), at=opens + timedelta(seconds=1))).passed


@given(st.lists(st.tuples(st.sampled_from([A, B, None]), st.integers(0, 100)), max_size=12))
def test_a_history_has_one_artifact_in_front_at_a_time(events):
    at = [(digest, NOON + timedelta(minutes=minute)) for digest, minute in sorted(events, key=lambda e: e[1])]
    found = fronts([each for each in at if each[0]], [when for digest, when in at if digest is None])
    for before, after in pairwise(found):
        assert before.until is not None
        assert before.until <= after.since
    assert all(each.until is not None for each in found[:-1])


def test_new_data_and_a_redeploy_do_not_begin_the_time_anew():
    at = [NOON + timedelta(minutes=minute) for minute in range(4)]
    assert fronts([(A, at[0]), (A, at[1]), (B, at[2]), (B, at[3])]) == (
        Front(A, at[0], at[2]),
        Front(B, at[2], None),
    )


def test_nothing_is_in_front_while_an_environment_is_inactive():
    at = [NOON + timedelta(minutes=minute) for minute in range(3)]
    assert fronts([(A, at[0]), (A, at[2])], [at[1]]) == (Front(A, at[0], at[1]), Front(A, at[2], None))
