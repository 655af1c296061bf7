from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.config.schema import documented_keys, validated
from branchline.domain.freeze import FreezeWindow, all_frozen, frozen

BERLIN, LORD_HOWE = "Europe/Berlin", "Australia/Lord_Howe"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(**keys):
    """As plans.yaml would have it."""
    found, broken = validated(FreezeWindow, {"reason": "a reason", "zone": BERLIN, **keys})
    assert broken == []
    return found


HOLIDAYS = window(**{"from": "2026-12-20 18:00", "until": "2027-01-04 06:00"}, may_override=["ann"])
WEEKENDS = window(every="every Friday 16:00", **{"for": "62h"})


def problems(**keys):
    return dict(validated(FreezeWindow, {"reason": "a reason", "zone": BERLIN, **keys})[1])


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-12-20 16:59:59", None),
        ("2026-12-20 17:00", "2027-01-04 05:00"),
        ("2027-01-04 04:59:59", "2027-01-04 05:00"),
        ("2027-01-04 05:00", None),
    ],
)
def test_a_window_with_dates_is_on_from_its_first_moment_up_to_its_end(at, end):
    assert HOLIDAYS.end(utc(at)) == (end and utc(end))


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-20 14:59", None),
        ("2026-11-20 15:00", "2026-11-23 05:00"),
        ("2026-11-23 04:59", "2026-11-23 05:00"),
        ("2026-11-23 05:00", None),
        ("2026-10-23 14:00", "2026-10-26 05:00"),
        ("2026-10-26 04:59", "2026-10-26 05:00"),
        ("2026-10-26 05:00", None),
        ("2027-03-26 15:00", "2027-03-29 04:00"),
        ("2027-03-29 04:00", None),
    ],
)
def test_a_weekend_ends_on_monday_at_six_by_the_clock_on_the_wall_over_both_changes(at, end):
    assert WEEKENDS.end(utc(at)) == (end and utc(end))


def test_hours_of_a_window_are_hours_that_pass():
    nights = window(every="every day 01:00", **{"for": "3h"})
    assert nights.end(utc("2027-03-28 00:30")) == utc("2027-03-28 03:00")
    assert nights.end(utc("2026-10-24 23:30")) == utc("2026-10-25 02:00")


def test_a_window_that_begins_in_the_gap_begins_behind_it():
    gap = window(every="every day 02:30", **{"for": "1h"})
    assert gap.end(utc("2027-03-28 01:29")) is None
    assert gap.end(utc("2027-03-28 01:30")) == utc("2027-03-28 02:30")


def test_a_window_with_dates_in_the_gap_and_in_the_doubled_hour():
    gap = window(**{"from": "2027-03-28 02:30", "until": "2027-03-28 05:00"})
    assert gap.end(utc("2027-03-28 01:29")) is None
    assert gap.end(utc("2027-03-28 01:30")) == utc("2027-03-28 03:00")
    doubled = window(**{"from": "2026-10-25 02:30", "until": "2026-10-25 04:00"})
    assert (
        doubled.end(utc("2026-10-25 00:30"))
        == doubled.end(utc("2026-10-25 01:30"))
        == utc("2026-10-25 03:00")
    )


def test_a_shift_of_half_an_hour():
    days = window(zone=LORD_HOWE, every="every Saturday 12:00", **{"for": "1d"})
    assert days.end(utc("2026-10-03 02:00")) == utc("2026-10-04 01:00")
    assert days.end(utc("2027-04-03 02:00")) == utc("2027-04-04 01:30")


def test_windows_that_overlap_themselves_end_with_the_last():
    always = window(every="every day 10:00", **{"for": "25h"}, zone="UTC")
    assert always.end(utc("2026-11-20 10:30")) == utc("2026-11-21 11:00")


def test_of_several_windows_the_one_that_ends_last_is_told():
    short = window(**{"from": "2026-12-25 00:00", "until": "2026-12-26 00:00"})
    assert frozen([short, HOLIDAYS, WEEKENDS], utc("2026-12-25 16:00")) == (HOLIDAYS, utc("2027-01-04 05:00"))
    assert len(all_frozen([short, HOLIDAYS, WEEKENDS], utc("2026-12-25 16:00"))) == 3
    assert frozen([short, HOLIDAYS, WEEKENDS], utc("2026-11-19 12:00")) is None
    assert frozen([], utc("2026-12-25 16:00")) is None


def test_what_contradicts_itself_is_told():
    either = "must have either `from` and `until`, or `every` and `for`"
    assert either in problems()[()]
    assert either in problems(**{"from": "2026-12-20 18:00"})[()]
    assert either in problems(every="every day 10:00")[()]
    assert either in problems(every="every day 10:00", **{"for": "1h", "from": "2026-12-20 18:00"})[()]
    assert "not after `from`" in problems(**{"from": "2026-12-20 18:00", "until": "2026-12-20 18:00"})[()]
    assert "between 1s and 366d" in problems(every="every day 10:00", **{"for": "0"})[()]
    assert "is none" in problems(every="every moon", **{"for": "1h"})[()]
    assert "another zone" in problems(every="every day 10:00 UTC", **{"for": "1h"})[()]
    assert (
        "such as 2026-12-20 18:00"
        in problems(**{"from": "2026-12-20", "until": "2026-12-21 10:00"})[("from",)]
    )
    assert "is no time zone" in problems(zone="Berlin", every="every day 10:00", **{"for": "1h"})[("zone",)]
    assert "did you mean from?" in problems(frm="x")[("frm",)]


def test_its_keys_are_documented_as_they_are_written():
    assert {"from", "until", "every", "for", "zone", "reason", "may_override"} == documented_keys(
        FreezeWindow
    ).keys()


@settings(deadline=None)
@given(st.integers(0, 400 * 1440), st.integers(1, 10 * 24))
def test_a_freeze_that_is_on_ends_later_and_is_over_at_its_end(minutes, hours):
    at = utc("2026-01-01") + timedelta(minutes=minutes)
    weekly = window(every="every Sunday 02:30", **{"for": f"{hours}h"})
    end = weekly.end(at)
    if end is not None:
        assert at < end <= at + timedelta(hours=hours + 1)
        assert weekly.end(end - timedelta(seconds=1)) is not None
        assert hours > 7 * 24 - 2 or weekly.end(end) is None
