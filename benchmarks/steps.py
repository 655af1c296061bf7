"""A journaled step against a bare Prefect task: what intent, result, lease and log cost."""

from __future__ import annotations

import contextlib
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from unittest import mock

from prefect import flow, task
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from branchline.platform import Work
from tasks.journaled import journaled
from tasks.operate import operation

STEPS = 20
ROUNDS = 3


@journaled("nothing")
def _nothing_in_the_journal(work: Work) -> None:
    """Nothing."""


@task(name="nothing", task_run_name="nothing")
def _nothing() -> None:
    """Nothing."""


# Each flow times its own body: what the server's SQLite makes a flow wait for at its ends is no step's cost.
@flow(name="benchmark-journaled")
def _journaled_steps() -> float:
    start = time.perf_counter()
    with operation("benchmark", "benchmark/master", sentence="measure steps") as op:
        for _ in range(STEPS):
            _nothing_in_the_journal(op)
    return time.perf_counter() - start


@flow(name="benchmark-bare")
def _bare_steps() -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        _nothing()
    return time.perf_counter() - start


def measure() -> list[dict[str, object]]:
    """The ratio of the medians of three runs each, taken in turns after a first of each."""
    with _prefect_and_a_home():
        _journaled_steps(), _bare_steps()
        taken = [(_journaled_steps(), _bare_steps()) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(each) for each in zip(*taken, strict=True))
    return [
        {
            "job": f"{STEPS} journaled steps that do nothing, with their lease",
            "against": f"{STEPS} bare Prefect tasks",
            "ratio": round(ours / theirs, 2),
            "at_most": None,
        }
    ]


@contextlib.contextmanager
def _prefect_and_a_home() -> Iterator[None]:
    server = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",  # it complains of what its own end interrupts
    }
    quick = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, server | {"BRANCHLINE_HOME": home}),
        prefect_test_harness(server_startup_timeout=90),
        temporary_settings(quick),
    ):
        logging.disable(logging.INFO)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
