"""Operations as they are recorded: activities, steps, resources, leases and who holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

ActivityState = Literal["in progress", "complete", "cancelled"]
Result = Literal["success", "failure", "skipped", "refused"]
StepState = Literal["begun", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: a pid means something only on its host, since that boot, since that start."""

    host: str
    boot: str
    pid: int
    pid_started: float


@dataclass(frozen=True, slots=True)
class Want:
    """A wish for a lease: exclusive to change what is named, shared to read it undisturbed."""

    resource: str
    exclusive: bool = True


@dataclass(frozen=True, slots=True)
class Lease:
    resource: str
    exclusive: bool
    token: int
    activity_id: str
    holder: Holder
    taken_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grip:
    """What a process presents with every write: the tokens of the leases it was given."""

    activity_id: str
    tokens: tuple[tuple[str, int], ...] = ()

    def without(self, resource: str) -> Grip:
        return Grip(self.activity_id, tuple(pair for pair in self.tokens if pair[0] != resource))


@dataclass(frozen=True, slots=True)
class Resource:
    """Something outside the database; `kind` names the function that removes it, by `name`."""

    kind: str
    name: str
    state: Literal["made", "kept", "removed"] = "made"


@dataclass(frozen=True, slots=True)
class Step:
    seq: int
    name: str
    state: StepState
    detail: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewActivity:
    """Who wants to do what; parameters without secrets."""

    id: str
    kind: str
    project: str
    environment: str
    parameters: dict[str, Any]
    actor: str
    flow_run_id: str | None
    sentence: str
    request_key: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """One run of an operation. Never rewritten once `ended_at` is set."""

    id: str
    kind: str
    project: str
    environment: str
    parameters: dict[str, Any]
    actor: str
    flow_run_id: str | None
    state: ActivityState
    result: Result | None
    sentence: str
    reason: str | None
    warnings: tuple[str, ...]
    created_at: datetime
    committed_at: datetime | None
    ended_at: datetime | None
    steps: tuple[Step, ...] = field(default=())

    @property
    def outcome(self) -> str:
        """The result in one word, or the state while there is none."""
        return self.result or self.state
