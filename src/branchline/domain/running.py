"""What runs: the processes of Prefect's flow runs, and those that run all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from branchline.domain.activity import Holder

SILENT = timedelta(seconds=30)
"""Whoever has given no sign of life for this long does not do its work any more, whether its process lives or not."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A Prefect flow run and the process that runs it: there from its beginning to its end."""

    id: str
    holder: Holder
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life of what there is one of, such as the dispatcher. `detail` is what it says of itself."""

    name: str
    holder: Holder
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    def fresh(self, now: datetime) -> bool:
        return now - self.at < SILENT
