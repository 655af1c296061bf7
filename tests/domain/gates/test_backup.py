from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.gates.backup import backup
from tests.domain.gates.asked import NOON, facts

DAY = 86400.0


def ago(hours):
    return NOON - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("backups", "passed", "reason"),
    [
        ({"database:db": ago(3)}, True, "the newest is 3 h old, of at most 1 d"),
        ({"database:db": ago(24)}, True, "the newest is 1 d old, of at most 1 d"),
        (
            {"database:db": ago(30)},
            False,
            "the newest backup of database db is 1 d 6 h old; at most 1 d are asked for",
        ),
        (
            {"database:db": None},
            False,
            "database db of store/production has no backup that Branchline made; at most 1 d are asked for",
        ),
        (
            {"database:db": ago(1), "database:log": ago(25)},
            False,
            "the newest backup of database log is 1 d 1 h old; at most 1 d are asked for",
        ),
        ({}, True, "store/production has no data that could be lost"),
    ],
)
def test_each_database_has_a_backup_that_is_not_older(backups, passed, reason):
    verdict = backup(facts(backup_within=DAY, backups=backups))
    assert (verdict.passed, verdict.reason) == (passed, reason)


def test_a_tier_that_asks_for_none_is_open():
    assert backup(facts(backups={"database:db": None})).passed


@given(st.floats(1, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_older_backup_never_passes_where_a_newer_one_does_not(within, one, more):
    newer, older = NOON - timedelta(seconds=one), NOON - timedelta(seconds=one + more)
    passes = [
        backup(facts(backup_within=within, backups={"database:db": at})).passed for at in (newer, older)
    ]
    assert passes[0] or not passes[1]
