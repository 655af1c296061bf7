"""Who keeps this home running: written down by `branchline up`, found by `branchline down`."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from branchline.domain.activity import Holder
from branchline.errors import Refused
from branchline.operation import Processes


@dataclass(frozen=True, slots=True)
class Record:
    holder: Holder
    url: str
    since: datetime


@contextmanager
def held(path: Path, record: Record) -> Iterator[None]:
    """For the time of the context nobody else holds it; the kernel lets go of it when this process is killed.

    Raises Refused (353).
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(353, _who(path), "branchline status, or branchline down") from None
        file.truncate(0)
        file.write(json.dumps(asdict(record) | {"since": record.since.isoformat()}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def read(path: Path, processes: Processes) -> Record | None:
    """None when nobody holds it."""
    try:
        said = json.loads(path.read_text())
        record = Record(Holder(**said["holder"]), said["url"], datetime.fromisoformat(said["since"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return record if processes.alive(record.holder) else None


def _who(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return (
            f"Branchline is up already: process {said['holder']['pid']} on {said['holder']['host']}, "
            f"since {said['since']}, at {said['url']}."
        )
    except (ValueError, KeyError, TypeError):
        return "Branchline is being started or stopped by another process."
