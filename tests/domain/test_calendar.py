from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.domain.calendar import at_wall, in_words, local, read_calendar, read_moment
from branchline.errors import BadInput

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
KOLKATA, LORD_HOWE = "Asia/Kolkata", "Australia/Lord_Howe"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

DAYLIGHT_SAVING = [
    # zone, a day, the local time of a calendar, when that is in UTC, and what the clock then shows
    (BERLIN, "2027-03-28", "01:59", "2027-03-28 00:59", "01:59"),
    (BERLIN, "2027-03-28", "02:00", "2027-03-28 01:00", "03:00"),
    (BERLIN, "2027-03-28", "02:30", "2027-03-28 01:30", "03:30"),
    (BERLIN, "2027-03-28", "03:00", "2027-03-28 01:00", "03:00"),
    (BERLIN, "2026-10-25", "01:59", "2026-10-24 23:59", "01:59"),
    (BERLIN, "2026-10-25", "02:00", "2026-10-25 00:00", "02:00"),
    (BERLIN, "2026-10-25", "02:30", "2026-10-25 00:30", "02:30"),
    (BERLIN, "2026-10-25", "03:00", "2026-10-25 02:00", "03:00"),
    (NEW_YORK, "2027-03-14", "01:59", "2027-03-14 06:59", "01:59"),
    (NEW_YORK, "2027-03-14", "02:30", "2027-03-14 07:30", "03:30"),
    (NEW_YORK, "2027-03-14", "03:00", "2027-03-14 07:00", "03:00"),
    (NEW_YORK, "2026-11-01", "00:59", "2026-11-01 04:59", "00:59"),
    (NEW_YORK, "2026-11-01", "01:30", "2026-11-01 05:30", "01:30"),
    (NEW_YORK, "2026-11-01", "02:00", "2026-11-01 07:00", "02:00"),
    (KOLKATA, "2027-03-28", "02:30", "2027-03-27 21:00", "02:30"),
    (KOLKATA, "2026-10-25", "02:30", "2026-10-24 21:00", "02:30"),
    (LORD_HOWE, "2026-10-04", "01:59", "2026-10-03 15:29", "01:59"),
    (LORD_HOWE, "2026-10-04", "02:00", "2026-10-03 15:30", "02:30"),
    (LORD_HOWE, "2026-10-04", "02:15", "2026-10-03 15:45", "02:45"),
    (LORD_HOWE, "2026-10-04", "02:30", "2026-10-03 15:30", "02:30"),
    (LORD_HOWE, "2027-04-04", "01:29", "2027-04-03 14:29", "01:29"),
    (LORD_HOWE, "2027-04-04", "01:45", "2027-04-03 14:45", "01:45"),
    (LORD_HOWE, "2027-04-04", "02:00", "2027-04-03 15:30", "02:00"),
]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def told(calendar, after, count):
    return [in_words(each, calendar.zone) for each in _first(calendar, after, count)]


def _first(calendar, after, count):
    return list(islice(calendar.between(after, after + timedelta(days=4000)), count))


@pytest.mark.parametrize(("zone", "day", "clock", "moment", "shown"), DAYLIGHT_SAVING)
def test_a_local_time_on_the_day_of_a_change_is_moved_over_the_gap_or_is_the_first_of_two(
    zone, day, clock, moment, shown
):
    calendar = read_calendar(f"every day {clock} {zone}")
    midnight = at_wall(datetime.fromisoformat(day), ZoneInfo(zone))
    of_the_day = list(calendar.between(midnight - timedelta(seconds=1), midnight + timedelta(hours=23)))
    assert of_the_day == [utc(moment)]
    assert f"{of_the_day[0].astimezone(ZoneInfo(zone)):%H:%M}" == shown
    assert calendar.next(midnight - timedelta(seconds=1)) == utc(moment)
    assert read_moment(f"{day} {clock} {zone}", utc("2026-01-01"))[0] == utc(moment)
    assert read_moment(f"{clock} {zone}", midnight - timedelta(seconds=1))[0] == utc(moment)


def test_hourly_times_come_in_order_over_a_gap_and_none_comes_twice():
    calendar = read_calendar("every hour Europe/Berlin")
    spring = list(calendar.between(utc("2027-03-28 00:00"), utc("2027-03-28 03:00")))
    assert spring == [utc("2027-03-28 01:00"), utc("2027-03-28 02:00"), utc("2027-03-28 03:00")]
    autumn = list(calendar.between(utc("2026-10-24 23:00"), utc("2026-10-25 03:00")))
    assert autumn == [utc("2026-10-25 00:00"), utc("2026-10-25 02:00"), utc("2026-10-25 03:00")]


def test_a_skipped_time_that_falls_behind_a_later_one_comes_behind_it():
    calendar = read_calendar("every day 02:30, 03:00, 03:45 Europe/Berlin")
    moments = list(calendar.between(utc("2027-03-28 00:00"), utc("2027-03-28 12:00")))
    assert moments == [utc("2027-03-28 01:00"), utc("2027-03-28 01:30"), utc("2027-03-28 01:45")]
    assert calendar.next(utc("2027-03-28 01:00")) == utc("2027-03-28 01:30")


def test_a_day_that_a_zone_skipped_altogether_comes_the_day_after():
    calendar = read_calendar("DTSTART:20110101T100000 RRULE:FREQ=WEEKLY;BYDAY=FR;BYHOUR=10 Pacific/Apia")
    assert in_words(calendar.next(utc("2011-12-29 12:00")), calendar.zone) == "Sat 2011-12-31 10:00 +14"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("every weekday 14:00 Europe/Berlin", ["Fri 2026-11-20 14:00 CET", "Mon 2026-11-23 14:00 CET"]),
        ("every day 02:00 UTC", ["Sat 2026-11-21 02:00 UTC", "Sun 2026-11-22 02:00 UTC"]),
        ("daily at 2:00 in UTC", ["Sat 2026-11-21 02:00 UTC", "Sun 2026-11-22 02:00 UTC"]),
        ("every Mon,Wed 9:00 Asia/Kolkata", ["Mon 2026-11-23 09:00 IST", "Wed 2026-11-25 09:00 IST"]),
        ("every Monday and Wednesday at 9:00 UTC", ["Mon 2026-11-23 09:00 UTC", "Wed 2026-11-25 09:00 UTC"]),
        ("every Fri-Mon 9:00 UTC", ["Sat 2026-11-21 09:00 UTC", "Sun 2026-11-22 09:00 UTC"]),
        ("first Tuesday 22:00 Europe/Berlin", ["Tue 2026-12-01 22:00 CET", "Tue 2027-01-05 22:00 CET"]),
        (
            "First, third friday of the month 10:00 UTC",
            ["Fri 2026-12-04 10:00 UTC", "Fri 2026-12-18 10:00 UTC"],
        ),
        ("last Friday 18:00 UTC", ["Fri 2026-11-27 18:00 UTC", "Fri 2026-12-25 18:00 UTC"]),
        ("last weekday 18:00 UTC", ["Mon 2026-11-30 18:00 UTC", "Thu 2026-12-31 18:00 UTC"]),
        ("last day 18:00 UTC", ["Mon 2026-11-30 18:00 UTC", "Thu 2026-12-31 18:00 UTC"]),
        ("every hour Asia/Kolkata", ["Fri 2026-11-20 18:00 IST", "Fri 2026-11-20 19:00 IST"]),
        (
            "every weekday 10:00, 14:00 Europe/Berlin",
            ["Fri 2026-11-20 14:00 CET", "Mon 2026-11-23 10:00 CET", "Mon 2026-11-23 14:00 CET"],
        ),
        (
            "RRULE:FREQ=WEEKLY;BYDAY=TU;BYHOUR=14;BYMINUTE=0 Europe/Berlin",
            ["Tue 2026-11-24 14:00 CET", "Tue 2026-12-01 14:00 CET"],
        ),
        (
            "DTSTART:20260105T140000 RRULE:FREQ=WEEKLY;INTERVAL=2 UTC",
            ["Mon 2026-11-23 14:00 UTC", "Mon 2026-12-07 14:00 UTC"],
        ),
        ("RRULE:FREQ=MONTHLY;INTERVAL=5;BYHOUR=3 UTC", ["Tue 2026-12-01 03:00 UTC"]),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29 UTC", ["Tue 2028-02-29 00:00 UTC"]),
        ("RRULE:FREQ=DAILY;UNTIL=20261122T010000Z Asia/Kolkata", ["Sat 2026-11-21 00:00 IST"]),
        ("RRULE:FREQ=MINUTELY;INTERVAL=5 UTC", ["Fri 2026-11-20 12:05 UTC", "Fri 2026-11-20 12:10 UTC"]),
    ],
)
def test_what_people_write_is_read(text, first):
    calendar = read_calendar(text)
    assert told(calendar, NOW, len(first)) == first
    assert read_calendar(calendar.text) == calendar
    assert read_calendar(calendar.text).text == calendar.text


def test_a_rule_that_has_ended_comes_no_more():
    calendar = read_calendar("RRULE:FREQ=DAILY;UNTIL=20261122T010000Z Asia/Kolkata")
    assert len(_first(calendar, NOW, 9)) == 2
    assert calendar.next(utc("2026-11-23")) is None


def test_an_interval_is_counted_from_its_start_whenever_it_is_asked():
    calendar = read_calendar("DTSTART:20260105T140000 RRULE:FREQ=WEEKLY;INTERVAL=2 UTC")
    for days in range(0, 4000, 13):
        moment = calendar.next(NOW + timedelta(days=days))
        assert (moment - utc("2026-01-05 14:00")) % timedelta(weeks=2) == timedelta(0)


def test_a_zone_may_be_given_beside_the_text_and_the_texts_own_wins():
    assert read_calendar("every day 02:00", BERLIN).text == "every day 02:00 Europe/Berlin"
    assert read_calendar("every day 02:00 UTC", BERLIN).zone == "UTC"


@pytest.mark.parametrize(
    ("text", "number", "says"),
    [
        ("", 114, "every weekday 14:00 Europe/Berlin"),
        ("every day", 114, "no time of the day"),
        ("every day 25:00 UTC", 114, "no time of the day"),
        ("every day 10:00:30 UTC", 114, "no time of the day"),
        ("every blue moon 10:00 UTC", 114, "'every blue moon' is not understood"),
        ("every fifth Tuesday 10:00 UTC", 114, "not understood"),
        ("every Mon;drop table releases 10:00 UTC", 114, "not understood"),
        ("x" * 100_000, 114, "cannot be read"),
        ("every day 10:00 \x1b[31m UTC", 114, "cannot be read"),
        ("every day 02:00", 115, "in which time zone"),
        ("every hour", 115, "in which time zone"),
        ("every day 02:00 Berlin", 116, "Europe/Berlin"),
        ("every day 02:00 Europe/Berln", 116, "Europe/Berlin"),
        ("every day 02:00 europe/berlin", 116, "Europe/Berlin"),
        ("every day 02:00 +01:00", 116, "no time zone"),
        ("every day 02:00 ../../etc/passwd", 116, "no time zone"),
        ("every day 02:00 Factory", 116, "no time zone"),
        ("RRULE:FREQ=FORTNIGHTLY UTC", 117, "YEARLY, MONTHLY"),
        ("RRULE:FREQ=SECONDLY UTC", 117, "more often than every 5 minutes"),
        ("RRULE:FREQ=MINUTELY UTC", 117, "more often than every 5 minutes"),
        ("RRULE:FREQ=DAILY;BYHOUR=1;BYMINUTE=0,4 UTC", 117, "more often than every 5 minutes"),
        ("RRULE:FREQ=DAILY;BYHOUR=0,23;BYMINUTE=0,58 UTC", 117, "more often than every 5 minutes"),
        ("every day 10:00, 10:02 UTC", 117, "more often than every 5 minutes"),
        ("RRULE:FREQ=DAILY;BYHOUR=99 UTC", 117, "BYHOUR=99"),
        ("RRULE:FREQ=DAILY;BYHOUR= UTC", 117, "not NAME=VALUE"),
        ("RRULE:FREQ=DAILY;BYHOUR=1;BYHOUR=2 UTC", 117, "twice"),
        ("RRULE:FREQ=DAILY;COUNT=3 UTC", 117, "UNTIL"),
        ("RRULE:FREQ=DAILY;INTERVAL=0 UTC", 117, "INTERVAL=0"),
        ("RRULE:FREQ=DAILY;INTERVAL=99999999999 UTC", 117, "INTERVAL=99999"),
        ("RRULE:FREQ=DAILY;BYDAY=2TU UTC", 117, "counted day"),
        ("RRULE:FREQ=MINUTELY;INTERVAL=5;BYSETPOS=2 UTC", 117, "BYSETPOS with FREQ=MINUTELY"),
        ("RRULE:FREQ=DAILY;NONSENSE=1 UTC", 117, "NONSENSE"),
        ("RRULE:FREQ=DAILY;UNTIL=soon UTC", 117, "UNTIL=SOON"),
        ("RRULE:FREQ=DAILY;UNTIL=20230101 UTC", 117, "never comes"),
        ("RRULE:FREQ=MINUTELY;INTERVAL=5;BYMONTH=2;BYMONTHDAY=30 UTC", 117, "never comes"),
        ("RRULE:FREQ=HOURLY;INTERVAL=2;BYHOUR=1 UTC", 117, "empty set"),
        ("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30 UTC", 117, "never comes"),
        ("DTSTART:00010101T000000 RRULE:FREQ=DAILY UTC", 117, "before 1970"),
        ("DTSTART:20260101T000000 UTC", 117, "RRULE:FREQ="),
    ],
)
def test_what_is_no_calendar_is_refused_with_what_is_wrong(text, number, says):
    with pytest.raises(BadInput) as refused:
        read_calendar(text)
    assert refused.value.number == number
    assert says in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize(
    ("text", "moment", "zone"),
    [
        ("2026-12-01 14:00 Europe/Berlin", "2026-12-01 13:00", BERLIN),
        ("2026-12-01T14:00 Europe/Berlin", "2026-12-01 13:00", BERLIN),
        ("14:00 Europe/Berlin", "2026-11-20 13:00", BERLIN),
        ("13:00 Europe/Berlin", "2026-11-21 12:00", BERLIN),
        ("today 14:00 Europe/Berlin", "2026-11-20 13:00", BERLIN),
        ("tomorrow at 9:00 America/New_York", "2026-11-21 14:00", NEW_YORK),
        ("tomorrow 1:00 Pacific/Auckland", "2026-11-21 12:00", "Pacific/Auckland"),
        ("2026-12-01T14:00+01:00", "2026-12-01 13:00", "UTC"),
        ("2026-12-01T14:00:30Z", "2026-12-01 14:00:30", "UTC"),
        ("2026-12-01T14:00Z Europe/Berlin", "2026-12-01 14:00", BERLIN),
        ("now", f"{NOW:%Y-%m-%d %H:%M}", "UTC"),
    ],
)
def test_a_moment_is_read_in_its_zone(text, moment, zone):
    assert read_moment(text, NOW) == (utc(moment), zone)


def test_a_moment_without_a_zone_has_the_one_beside_it():
    assert read_moment("2026-12-01 14:00", NOW, BERLIN) == (utc("2026-12-01 13:00"), BERLIN)
    assert read_moment("2026-12-01T14:00+01:00", NOW, BERLIN) == (utc("2026-12-01 13:00"), BERLIN)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("soon", 118),
        ("", 118),
        ("2026-13-01 10:00 UTC", 118),
        ("2026-12-01 24:00 UTC", 118),
        ("2026-02-30 10:00 UTC", 118),
        ("9999-12-31 23:59 America/New_York", 118),
        ("2026-12-01T14:00+99:00", 118),
        ("'; DROP TABLE releases; --", 118),
        ("2026-12-01 14:00", 115),
        ("14:00 Mars/Base", 116),
        ("2026-11-20 12:00 UTC", 119),
        ("2026-11-20 13:00 Europe/Berlin", 119),
        ("today 10:00 UTC", 119),
        ("0001-01-01 10:00 UTC", 119),
    ],
)
def test_what_is_no_moment_to_come_is_refused(text, number):
    with pytest.raises(BadInput) as refused:
        read_moment(text, NOW)
    assert refused.value.number == number


def test_a_time_that_comes_twice_and_has_come_once_is_tomorrow():
    assert read_moment("02:30 Europe/Berlin", utc("2026-10-25 00:45"))[0] == utc("2026-10-26 01:30")


ZONES = st.sampled_from(
    [BERLIN, NEW_YORK, KOLKATA, LORD_HOWE, "UTC", "Pacific/Apia", "Africa/Casablanca", "America/St_Johns"]
)
CLOCKS = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
DAYS = st.sampled_from(
    ["every day", "every weekday", "every Sun", "every Mon,Wed,Sun", "last Sunday", "first Sunday"]
)
TEXTS = st.builds(
    lambda days, clocks: f"{days} {', '.join(sorted(clocks))}", DAYS, st.sets(CLOCKS, min_size=1, max_size=4)
) | st.just("every hour")
MOMENTS = st.integers(0, 6 * 365 * 1440).map(lambda minutes: utc("2024-01-01") + timedelta(minutes=minutes))


@settings(deadline=None, max_examples=200)
@given(TEXTS, ZONES, MOMENTS)
def test_times_rise_lie_behind_where_it_was_asked_and_agree_with_one_another(text, zone, after):
    calendar = read_calendar(text, zone)
    until = after + timedelta(days=45)
    moments = list(calendar.between(after, until))
    assert all(before < later for before, later in pairwise([after, *moments]))
    assert all(each <= until and each.tzinfo is UTC for each in moments)
    stepped, last = [], after
    while (found := calendar.next(last)) is not None and found <= until and len(stepped) < 10:
        stepped.append(found)
        last = found
    assert stepped == moments[: len(stepped)]
    assert len(stepped) == min(10, len(moments))


@settings(deadline=None, max_examples=200)
@given(st.sets(CLOCKS, min_size=1, max_size=4), ZONES, MOMENTS)
def test_the_clock_on_the_wall_shows_what_was_written_unless_it_skipped_that(clocks, zone, after):
    calendar = read_calendar(f"every day {', '.join(sorted(clocks))}", zone)
    there = ZoneInfo(zone)
    for moment in calendar.between(after, after + timedelta(days=370)):
        wall = local(moment, there)
        if f"{wall:%H:%M}" not in clocks:
            behind_the_gap = moment - timedelta(days=1)
            assert moment.astimezone(there).utcoffset() > behind_the_gap.astimezone(there).utcoffset()
        assert at_wall(wall, there) <= moment
