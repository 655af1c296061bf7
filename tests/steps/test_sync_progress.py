"""What whoever watches a sync is told."""

import logging

import pytest

from branchline.operation import progress
from branchline.sanitize.report import Progress
from branchline.steps.sync_progress import SyncProgress


class Told(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append((record.event, record.what, round(record.percent), record.getMessage()))


@pytest.fixture
def told():
    handler, level = Told(), progress.level
    progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    yield handler.records
    progress.removeHandler(handler)
    progress.setLevel(level)


def test_each_table_and_stage_is_told_with_the_percent_of_the_whole(told):
    show = SyncProgress("database:db", {"orders": 300, "people": 100})
    for done in (
        Progress("copy", "orders", 0, 300),
        Progress("copy", "orders", 300, 300),
        Progress("copy", "people", 100, 100),
        Progress("finish"),
        Progress("prove", "orders", 300, 300),
        Progress("prove", "people", 100, 100),
    ):
        show(done)
    assert [(what, percent) for _, what, percent, _ in told] == [
        ("copy orders", 0),
        ("copy orders", 45),
        ("copy people", 60),
        ("finish", 60),
        ("prove orders", 91),
        ("prove people", 100),
    ]
    assert told[1][3] == "database:db: copy orders, 300 of 300 rows (45 %)"


def test_blocks_are_not_told_but_percents_are(told):
    show = SyncProgress("database:db", {"orders": 100_000})
    for rows in range(0, 100_001, 10):
        show(Progress("copy", "orders", rows, 100_000))
    assert 60 <= len(told) <= 62


def test_an_empty_database_is_told_of_too(told):
    show = SyncProgress("database:db", {})
    show(Progress("finish"))
    show(Progress("prove", "orders", 0, 0))
    assert [percent for _, _, percent, _ in told] == [60, 65]
