from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.freeze import FreezeWindow
from branchline.domain.gates.freeze import freeze, may_override
from tests.domain.gates.asked import NOON, facts, wall

CHRISTMAS = FreezeWindow(
    "Christmas",
    "Europe/Berlin",
    wall("2026-07-03 13:00"),
    wall("2026-07-04 08:00"),
    may_override=("ann", "bob"),
)
SALE = FreezeWindow("Sale", "UTC", wall("2026-07-03 10:00"), wall("2026-07-03 13:00"), may_override=("bob",))


@pytest.mark.parametrize(
    ("windows", "passed", "reason"),
    [
        ((), True, "not asked for on production"),
        ((CHRISTMAS,), False, "Christmas, until Sat 2026-07-04 08:00 CEST"),
        ((SALE,), False, "Sale, until Fri 2026-07-03 13:00 UTC"),
        ((SALE, CHRISTMAS), False, "Christmas, until Sat 2026-07-04 08:00 CEST"),
    ],
)
def test_what_ends_last_is_told(windows, passed, reason):
    verdict = freeze(facts(freezes=windows))
    assert (verdict.passed, verdict.reason, verdict.may_open) == (passed, reason, not passed)


@given(st.integers(-48 * 60, 48 * 60))
def test_it_holds_from_the_beginning_to_just_before_the_end(minutes):
    at = NOON + timedelta(minutes=minutes)
    begins, ends = datetime(2026, 7, 3, 11, tzinfo=UTC), datetime(2026, 7, 4, 6, tzinfo=UTC)
    assert freeze(facts(freezes=(CHRISTMAS,), at=at)).passed == (not begins <= at < ends)


def test_only_whom_every_freeze_that_is_on_lets_through_may_override():
    assert may_override(facts(freezes=(CHRISTMAS,))) == ("ann", "bob")
    assert may_override(facts(freezes=(CHRISTMAS, SALE))) == ("bob",)
