"""What a step says while it runs, in the Prefect run that it belongs to: lines of its log, and how far it is."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from branchline.operation import progress
from branchline.steps.summary import in_text

LEAST = 5.0
"""Percent between two lines, or two versions of the artifact, about the same thing."""


@contextmanager
def into_the_run_log() -> Iterator[None]:
    """For the time of the context, all that is told of `branchline.progress` is told there."""
    handlers = (_Lines(get_run_logger()), _Percent(get_run_logger()))
    level, propagate = progress.level, progress.propagate
    for handler in handlers:
        progress.addHandler(handler)
    progress.setLevel(logging.INFO)
    progress.propagate = False
    try:
        yield
    finally:
        for handler in handlers:
            progress.removeHandler(handler)
        progress.setLevel(level)
        progress.propagate = propagate


class _Lines(logging.Handler):
    """Output and warnings as they come, and what each step did."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        event, detail = getattr(record, "event", ""), getattr(record, "detail", "")
        if event in ("line", "warning"):
            self._logger.log(record.levelno, "%s", record.getMessage())
        elif event == "done" and detail:
            self._logger.info("%s: %s", record.getMessage(), detail)


class _Percent(logging.Handler):
    """How far the step is: a line for each thing that it begins and each five percent, and an artifact that shows it."""

    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger
        self._told: tuple[str, float] = ("", 0.0)
        self._artifact: UUID | None = None
        self._shown = True

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") != "progress":
            return
        what, percent = str(getattr(record, "what", "")), float(getattr(record, "percent", 0.0))
        if what == self._told[0] and percent < self._told[1] + LEAST:
            return
        self._told = (what, percent)
        self._logger.info("%s", record.getMessage())
        if self._shown:
            try:
                self._show(percent, in_text(record.getMessage()))
            except Exception as error:  # noqa: BLE001 - it is only a sight: what it shows goes on without it
                self._shown = False
                self._logger.warning("no longer shown as an artifact: %s", type(error).__name__)

    def _show(self, percent: float, sentence: str) -> None:
        if self._artifact is None:
            self._artifact = create_progress_artifact(percent, description=sentence)
        else:
            update_progress_artifact(self._artifact, percent, description=sentence)
