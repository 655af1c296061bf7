import pytest

from branchline.domain.gates import Seen
from branchline.domain.gates.verified import verified
from tests.domain.gates.asked import facts


@pytest.mark.parametrize(
    ("seen", "passed", "reason"),
    [
        ([Seen("store/staging", True, None)], True, "this artifact was in front on store/staging"),
        (
            [Seen("store/staging", False, None)],
            False,
            "this artifact was never in front on store/staging",
        ),
        ([Seen("store/staging", True, "it hung")], False, "it failed on store/staging: it hung"),
        ([Seen("store/staging", False, "it hung")], False, "it failed on store/staging: it hung"),
        (
            [Seen("store/a", False, None), Seen("store/b", True, None)],
            True,
            "this artifact was in front on store/b",
        ),
        ([], False, "this artifact was never in front on staging"),
    ],
)
def test_it_was_in_front_there_and_is_not_bad_there(seen, passed, reason):
    verdict = verified(facts(verified_on="staging", seen=tuple(seen)))
    assert (verdict.passed, verdict.reason, verdict.may_open) == (passed, reason, False)


def test_a_tier_that_asks_for_none_is_open():
    assert verified(facts()).passed
