"""Where everything lies below Branchline's home. What is written and what is removed agree because both ask here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from branchline.domain.environment import DataVersion, Environment


@dataclass(frozen=True, slots=True)
class Layout:
    home: Path

    @property
    def state(self) -> Path:
        return self.home / "state" / "branchline.db"

    @property
    def key(self) -> Path:
        return self.home / "state" / "key"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def trees(self) -> Path:
        return self.home / "trees"

    @property
    def prefect(self) -> Path:
        """Of the Prefect server that `branchline up` keeps: its database, and what its processes print."""
        return self.home / "prefect"

    @property
    def up(self) -> Path:
        """Who keeps it running."""
        return self.prefect / "up.json"

    def repository(self, project: str) -> Path:
        return self.home / "repositories" / f"{project}.git"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def log(self, activity_id: str) -> Path:
        return self.logs / f"{activity_id}.log"

    def scratch(self, activity_id: str) -> Path:
        """A directory of one activity's own, gone when it ends."""
        return self.home / "scratch" / activity_id

    @property
    def empty(self) -> Path:
        """A directory in which nothing ever lies, for commands that need no application."""
        return self.home / "empty"

    def environment(self, environment: Environment) -> Path:
        return self.home / "environments" / environment.project.name / environment.name

    def current(self, environment: Environment) -> Path:
        """The link that is made to agree with the environment's row."""
        return self.environment(environment) / "current"

    def hold_file(self, environment: Environment) -> Path:
        """There while requests are held."""
        return self.environment(environment) / "hold"

    def release(self, environment: Environment, deployment_id: str) -> Path:
        """`app`, a link to the artifact's tree, and what the application is told, as files."""
        return self.environment(environment) / "releases" / deployment_id

    def data(self, environment: Environment, slot: str) -> Path:
        """The versions of one database or mount."""
        kind, _, name = slot.partition(":")
        return self.environment(environment) / f"{kind}s" / quote(name, safe="")

    def mount(self, environment: Environment, version: DataVersion) -> Path:
        return self.data(environment, version.slot) / version.id
