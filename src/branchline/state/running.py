"""Which processes run: those of Prefect's flow runs, and those that run all the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from branchline.domain.activity import Holder
from branchline.domain.running import Beat, FlowRun
from branchline.state import tables
from branchline.state.database import StateDatabase


class Running:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def began(self, flow_run_id: str, holder: Holder, now: datetime) -> None:
        """A process runs it; another than before, when it is run again after that one died."""
        with self._database.write() as session:
            session.merge(tables.FlowRun(id=flow_run_id, began_at=now, **_columns(holder)))

    def ended(self, flow_run_id: str, holder: Holder) -> None:
        """Its process does not run it any more; content when another runs it now."""
        with self._database.write() as session:
            session.execute(
                delete(tables.FlowRun).where(tables.FlowRun.id == flow_run_id, *_is(tables.FlowRun, holder))
            )

    def flow_runs(self) -> Sequence[FlowRun]:
        """Those that a process has begun and not ended, the oldest first."""
        with self._database.read() as session:
            rows = session.scalars(select(tables.FlowRun).order_by(tables.FlowRun.began_at))
            return [FlowRun(row.id, _holder(row), row.began_at) for row in rows]

    def take(
        self, name: str, holder: Holder, now: datetime, detail: Mapping[str, Any], *, instead_of: Beat | None
    ) -> bool:
        """Becomes the one that has this name, in place of the one that was seen there; False when another was quicker."""
        with self._database.write() as session:
            if _beat(session, name) != instead_of:
                return False
            session.merge(tables.Beat(name=name, at=now, detail=dict(detail), **_columns(holder)))
            return True

    def beat(self, name: str, holder: Holder, now: datetime, detail: Mapping[str, Any]) -> bool:
        """A sign of life; False when another process has the name now."""
        with self._database.write() as session:
            row = session.get(tables.Beat, name)
            if row is None or _holder(row) != holder:
                return False
            row.at, row.detail = now, dict(detail)
            return True

    def leave(self, name: str, holder: Holder) -> None:
        """Gives the name up; content when another process has it."""
        with self._database.write() as session:
            session.execute(delete(tables.Beat).where(tables.Beat.name == name, *_is(tables.Beat, holder)))

    def last(self, name: str) -> Beat | None:
        """The last sign of life, however old."""
        with self._database.read() as session:
            return _beat(session, name)

    def alive(self, name: str, now: datetime) -> Beat | None:
        """The last sign of life, when it is fresh."""
        found = self.last(name)
        return found if found is not None and found.fresh(now) else None


def _beat(session: Session, name: str) -> Beat | None:
    row = session.get(tables.Beat, name)
    return Beat(row.name, _holder(row), row.at, row.detail) if row is not None else None


def _holder(row: tables.FlowRun | tables.Beat) -> Holder:
    return Holder(row.host, row.boot, row.pid, row.pid_started)


def _columns(holder: Holder) -> dict[str, Any]:
    return {"host": holder.host, "boot": holder.boot, "pid": holder.pid, "pid_started": holder.pid_started}


def _is(table: type[tables.FlowRun | tables.Beat], holder: Holder) -> Sequence[ColumnElement[bool]]:
    return [getattr(table, name) == value for name, value in _columns(holder).items()]
