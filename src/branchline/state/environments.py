"""Projects and environments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from branchline.domain.activity import Grip
from branchline.domain.environment import Environment, Project, Status, Tier
from branchline.errors import BadInput
from branchline.state import tables
from branchline.state.database import StateDatabase
from branchline.state.leases import require


class Environments:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add_project(
        self, name: str, plan: str, now: datetime, environments: Sequence[tuple[str, str, Tier]] = ()
    ) -> Project:
        """The project with its first environments, each by name, branch and tier. Raises BadInput when the name is taken."""
        try:
            with self._database.write() as session:
                row = tables.Project(name=name, plan=plan, created_at=now)
                session.add(row)
                session.flush()
                for each, branch, tier in environments:
                    session.add(
                        tables.Environment(
                            project_id=row.id,
                            name=each,
                            branch=branch,
                            tier=tier,
                            status="inactive",
                            created_at=now,
                        )
                    )
                session.flush()
                return Project(row.id, row.name, row.plan)
        except IntegrityError:
            raise BadInput(
                330, f"There is a project {name!r} already.", f"branchline status {name}"
            ) from None

    def projects(self) -> Sequence[Project]:
        """By name, sorted here: each database has an order of texts of its own."""
        with self._database.read() as session:
            rows = sorted(session.scalars(select(tables.Project)), key=lambda row: row.name)
            return [Project(row.id, row.name, row.plan) for row in rows]

    def project(self, name: str) -> Project:
        """Raises BadInput, naming those there are."""
        projects = self.projects()
        for project in projects:
            if project.name == name:
                return project
        known = ", ".join(project.name for project in projects) or "none yet"
        raise BadInput(331, f"There is no project {name!r}; there are: {known}.", "branchline init NAME")

    def add(
        self, project: Project, name: str, branch: str, tier: Tier, status: Status, now: datetime
    ) -> Environment:
        """Raises BadInput when the name or the branch has an environment."""
        try:
            with self._database.write() as session:
                row = tables.Environment(
                    project_id=project.id, name=name, branch=branch, tier=tier, status=status, created_at=now
                )
                session.add(row)
                session.flush()
                return _environment(row, project)
        except IntegrityError:
            raise BadInput(
                332,
                f"Project {project.name} has an environment {name!r} already, or one of branch {branch!r}.",
                f"branchline status {project.name}",
            ) from None

    def of(self, project: Project) -> Sequence[Environment]:
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.Environment)
                .where(tables.Environment.project_id == project.id)
                .order_by(tables.Environment.id)
            )
            return [_environment(row, project) for row in rows]

    def find(self, project: Project, name: str) -> Environment | None:
        """By its name or its branch."""
        named = [
            environment for environment in self.of(project) if name in (environment.name, environment.branch)
        ]
        return named[0] if named else None

    def get(self, project_name: str, name: str) -> Environment:
        """By its name or its branch. Raises BadInput, naming those there are."""
        project = self.project(project_name)
        environment = self.find(project, name)
        if environment is None:
            known = ", ".join(environment.name for environment in self.of(project)) or "none yet"
            raise BadInput(
                333,
                f"Project {project_name} has no environment {name!r}; it has: {known}.",
                f"push a branch of that name, then branchline deploy {project_name}/{name}",
            )
        return environment

    def by_id(self, environment_id: int) -> Environment:
        with self._database.read() as session:
            row = session.get_one(tables.Environment, environment_id)
            project = session.get_one(tables.Project, row.project_id)
            return _environment(row, Project(project.id, project.name, project.plan))

    def set_status(self, grip: Grip, environment: Environment, status: Status) -> None:
        with self._database.write() as session:
            require(session, grip)
            _set(session, environment.id, status=status)

    def hold(self, grip: Grip, environment: Environment) -> None:
        """Requests are held from now on; the hold belongs to this activity."""
        with self._database.write() as session:
            require(session, grip)
            _set(session, environment.id, hold_activity_id=grip.activity_id)

    def release_hold(self, grip: Grip, environment_path: str) -> None:
        """Only its own: another activity's hold stays."""
        with self._database.write() as session:
            require(session, grip)
            session.execute(
                update(tables.Environment)
                .where(tables.Environment.hold_activity_id == grip.activity_id)
                .where(tables.Environment.id == _id_of(session, environment_path))
                .values(hold_activity_id=None)
            )


def _id_of(session: Session, path: str) -> int:
    project, _, name = path.partition("/")
    return session.scalars(
        select(tables.Environment.id)
        .join(tables.Project, tables.Project.id == tables.Environment.project_id)
        .where(tables.Project.name == project, tables.Environment.name == name)
    ).one()


def _set(session: Session, environment_id: int, **values: str | None) -> None:
    session.execute(
        update(tables.Environment).where(tables.Environment.id == environment_id).values(**values)
    )


def _environment(row: tables.Environment, project: Project) -> Environment:
    return Environment(
        id=row.id,
        project=project,
        name=row.name,
        branch=row.branch,
        tier=cast("Tier", row.tier),
        status=cast("Status", row.status),
        deployment_id=row.deployment_id,
        hold_activity_id=row.hold_activity_id,
    )
