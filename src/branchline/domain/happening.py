"""What happens in a run, as it is told to whoever watches it: a terminal, a CI system's log, a file for machines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Happening:
    """A step that began (`text` is its name) or ended, or a line of output or a warning between."""

    event: Literal["begun", "done", "failed", "line", "warning"]
    text: str
    at: datetime
    seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. `activity`, `release` and `run` are ids, where they are known; `page` is where the run is shown."""

    outcome: str
    exit_code: int
    message: str
    activity: str | None = None
    release: str | None = None
    run: str | None = None
    page: str | None = None
    number: int | None = None
    hint: str = ""
