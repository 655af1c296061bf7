"""The parts that operations are made from, chosen once by `wiring.open_platform`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from branchline.config import Settings, plan_named, read_app
from branchline.domain.activity import Activity, Grip
from branchline.domain.app import App
from branchline.domain.environment import Deployment, Environment, Project
from branchline.domain.plan import Plan
from branchline.domain.remote import Followed
from branchline.errors import Refused
from branchline.layout import Layout
from branchline.operation import Operation, Operations, StepRun
from branchline.ports import (
    ArtifactStore,
    CommitStatuses,
    Database,
    DatabasePlaces,
    ProtectedBranch,
    Sandbox,
    Signatures,
    SourceRepository,
    Trees,
)
from branchline.state.store import Store


@dataclass(frozen=True)
class Platform:
    """Everything outside the rules, behind its protocol."""

    settings: Settings
    plans: Mapping[str, Plan]
    packs: Sequence[Path]
    """Directories with sanitization packs."""

    layout: Layout
    store: Store
    artifacts: ArtifactStore
    trees: Trees
    sandbox: Sandbox
    operations: Operations
    repository: Callable[[str], SourceRepository]
    """A project's repository, by the project's name."""
    databases: DatabasePlaces
    create_repository: Callable[[str, str | None], Sequence[str]]
    """A project's, empty or from a URL or path; gives the branches that were left out because of their names."""
    guard_pushes: Callable[[str, Sequence[ProtectedBranch]], None]
    """Installs, or brings up to date, what refuses pushes to branches that only promotion moves."""
    follow_remote: Callable[[str, str], Followed]
    """Moves a project's branches, by its name, as those at a URL have moved."""
    remove_directory: Callable[[Path], None]
    """With all in it, read-only or not; content when it is gone."""
    signatures: Signatures
    clock: Callable[[], datetime]
    commit_statuses: Callable[[str], CommitStatuses | None] = lambda _project: None
    """Where a project's commits are shown as deployed, by the project's name; None where that is not configured."""
    _apps: dict[tuple[str, str], App] = field(default_factory=dict)

    def plan(self, project: Project) -> Plan:
        """Raises BadInput when the operator has taken the plan out of plans.yaml."""
        return plan_named(self.plans, project.plan)

    def app(self, project: Project, commit: str) -> App:
        """The application's configuration at a commit. Raises BadInput with every problem."""
        known = self._apps.get((project.name, commit))
        if known is None:
            repository = self.repository(project.name)
            known = self._apps[project.name, commit] = read_app(lambda path: repository.read(commit, path))
        return known

    def database(self, environment: Environment, name: str) -> Database:
        """The versions of one database of an environment, by the name that its versions have."""
        return self.databases.of(environment, name)

    def current(self, environment: Environment) -> Deployment:
        """What the environment runs. Raises Refused when nothing was ever deployed there."""
        if environment.deployment_id is None:
            raise Refused(
                341,
                f"Nothing is deployed on {environment.path}.",
                f"branchline deploy {environment.path}",
            )
        return self.store.deployments.get(environment.deployment_id)


@dataclass(frozen=True)
class Work:
    """What a step works with: the platform, the live operation, and the step's own line in the journal."""

    platform: Platform
    operation: Operation
    run: StepRun

    @property
    def grip(self) -> Grip:
        return self.operation.grip

    @property
    def activity(self) -> Activity:
        return self.platform.store.activities.get(self.operation.id)

    @property
    def environment(self) -> Environment:
        """The one that this operation changes, as its row is now."""
        activity = self.activity
        return self.platform.store.environments.get(activity.project, activity.environment)

    def deployment(self, deployment_id: str) -> Deployment:
        return self.platform.store.deployments.get(deployment_id)
