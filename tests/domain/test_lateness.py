from datetime import UTC, datetime, timedelta

import pytest

from branchline.domain.lateness import move
from branchline.domain.release import Release

DUE = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LATEST = DUE + 15 * MINUTE


def release(**other):
    return Release(
        **{
            "id": "r-1",
            "seq": 1,
            "kind": "promotion",
            "environment": "store/staging",
            "source": "store/master",
            "tier": "staging",
            "digest": None,
            "commit": None,
            "due_at": DUE,
            "zone": "Europe/Berlin",
            "latest_start_at": LATEST,
            "late": "ask",
            "revision": 1,
            "state": "scheduled",
            "reason": None,
            "author": "ann",
            "held_by": None,
            "held_reason": None,
            "timetable_id": None,
            "activity_id": None,
            "created_at": DUE - MINUTE,
            "ended_at": None,
            **other,
        }
    )


@pytest.mark.parametrize(
    ("what", "now", "gates_open", "expected"),
    [
        ({}, DUE - timedelta(microseconds=1), True, "leave"),
        ({}, DUE, True, "run"),
        ({}, DUE, False, "wait"),
        ({}, LATEST, True, "run"),
        ({}, LATEST, False, "wait"),
        ({}, LATEST + timedelta(microseconds=1), True, "miss"),
        ({}, LATEST + timedelta(microseconds=1), False, "miss"),
        ({"late": "run"}, LATEST + MINUTE, True, "miss"),
        ({"late": "run", "missed_at": LATEST + MINUTE}, LATEST + MINUTE, True, "run"),
        ({"late": "run", "missed_at": LATEST + MINUTE}, LATEST + MINUTE, False, "wait"),
        ({"held_by": "bob"}, DUE, True, "leave"),
        ({"held_by": "bob"}, LATEST + MINUTE, True, "leave"),
        ({"state": "asking"}, LATEST + MINUTE, True, "leave"),
        ({"state": "running"}, DUE, True, "leave"),
        ({"state": "missed"}, DUE, True, "leave"),
        ({"latest_start_at": DUE}, DUE, True, "run"),
    ],
)
def test_what_is_to_be_done_now(what, now, gates_open, expected):
    assert move(release(**what), now, gates_open=gates_open) == expected
