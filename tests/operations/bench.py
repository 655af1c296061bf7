"""Operations over a real state database, with files as what they make."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from branchline import operation
from branchline.adapters.processes import LocalProcesses
from branchline.domain.activity import Activity, Grip, Want
from branchline.domain.environment import Environment
from branchline.operation import Operation, Operations, Request
from branchline.state.store import Store, open_store


@dataclass
class Bench:
    """One environment, `store/master`, active; what an operation makes is a file in `directory`."""

    directory: Path
    store: Store
    operations: Operations
    abandoned: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    refuses_removal: set[str] = field(default_factory=set)
    before_finish: Callable[[], None] = lambda: None

    @property
    def environment(self) -> Environment:
        return self.store.environments.get("store", "master")

    def activity(self, activity_id: str) -> Activity:
        return self.store.activities.get(activity_id)

    def make(self, live: Operation, name: str) -> Path:
        live.making("file", name)
        path = self.directory / name
        path.write_text(live.id)
        return path

    def commit(self, live: Operation) -> None:
        self.store.deployments.commit_status(
            live.grip, self.environment, "inactive", self.now, timedelta(days=1)
        )

    def process_ended(self) -> None:
        """As if this process had ended and another were here now, on the same home: nothing in memory is left."""
        for live in list(operation._live.values()):
            live.end_heartbeat()
        operation._live.clear()
        operation._claimed.clear()

    def left(self) -> list[str]:
        """What nobody ended or removed."""
        return [
            *(f"lease {lease.resource}" for lease in self.store.leases.held()),
            *(f"unended {each.id}" for each in self.store.activities.unended()),
            *(f"file {path.name}" for path in self.directory.iterdir()),
        ]


def request(*resources: str, wait: float = 0.0, reads: tuple[str, ...] = (), **overrides: Any) -> Request:
    wants = [Want(resource) for resource in resources or ("environment:store/master",)]
    wants += [Want(resource, exclusive=False) for resource in reads]
    told: dict[str, Any] = {
        "kind": "deploy",
        "project": "store",
        "environment": "master",
        "sentence": "deploy master to store/master",
        "parameters": {},
        "actor": "ann",
        "wait_seconds": wait,
    }
    return Request(wants=wants, **(told | overrides))


@contextmanager
def bench(tmp_path: Path, url: str | None = None, **options: Any) -> Iterator[Bench]:
    """With its state at `url`, else in a file. `options` replace those of Operations."""
    store = open_store(url or f"sqlite:///{tmp_path}/state.db", tmp_path / "key")
    directory = tmp_path / "made"
    directory.mkdir()

    def remove(_grip: Grip, name: str) -> None:
        if name in made.refuses_removal:
            raise OSError(f"{name} cannot be removed")
        (directory / name).unlink(missing_ok=True)
        made.removed.append(name)

    def abandon(activity_id: str) -> None:
        made.abandoned.append(activity_id)

    def finish(live: Operation) -> None:
        made.before_finish()
        made.finished.append(live.id)

    operations = Operations(
        **{
            "store": store,
            "processes": LocalProcesses(),
            "removers": {"file": remove},
            "finish": finish,
            "abandon": abandon,
            "log_of": lambda activity: tmp_path / f"{activity}.log",
            "secrets_of": lambda _project: (),
            "clock": lambda: made.now,
            "poll_seconds": 0.01,
            **options,
        }
    )
    made = Bench(directory, store, operations)
    project = store.environments.add_project("store", "pro", made.now)
    store.environments.add(project, "master", "master", "integration", "active", made.now)
    yield made
    made.process_ended()
    store.database.close()
