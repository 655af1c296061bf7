"""Variables that operators set, encrypted with a key that lies outside the database."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import ColumnElement, and_, delete, or_, select

from branchline.domain.environment import Environment, Project
from branchline.domain.variable import Variable
from branchline.errors import BadInput, Failed
from branchline.state import tables
from branchline.state.database import StateDatabase


class Variables:
    def __init__(self, database: StateDatabase, key_file: Path) -> None:
        self._database = database
        self._key_file = key_file

    def set(self, project: Project, environment: Environment | None, variable: Variable) -> None:
        """Makes or replaces it, for one environment or for all of the project's."""
        value = self._cipher().encrypt(variable.value.encode())
        with self._database.write() as session:
            session.execute(delete(tables.Variable).where(_named(project, environment, variable.name)))
            session.add(
                tables.Variable(
                    project_id=project.id,
                    environment_id=environment.id if environment else None,
                    name=variable.name,
                    value=value,
                    at_build=variable.at_build,
                    at_run=variable.at_run,
                    sensitive=variable.sensitive,
                )
            )

    def delete(self, project: Project, environment: Environment | None, name: str) -> None:
        """Raises BadInput when there is none of that name."""
        with self._database.write() as session:
            found = session.scalars(
                select(tables.Variable).where(_named(project, environment, name))
            ).one_or_none()
            if found is None:
                raise BadInput(
                    335, f"There is no variable {name!r} there.", f"branchline variable list {project.name}"
                )
            session.delete(found)

    def of(self, project: Project, environment: Environment | None = None) -> Sequence[Variable]:
        """The project's; with an environment, what it inherits and its own, which win. Sorted by name."""
        query = select(tables.Variable).where(tables.Variable.project_id == project.id)
        levels = or_(
            tables.Variable.environment_id.is_(None),
            tables.Variable.environment_id == (environment.id if environment else None),
        )
        with self._database.read() as session:
            rows = session.scalars(
                query.where(levels).order_by(tables.Variable.environment_id.nulls_first())
            ).all()
            found = {
                row.name: Variable(
                    row.name, self._decrypt(row.value), row.at_build, row.at_run, row.sensitive
                )
                for row in rows
            }
        return [found[name] for name in sorted(found)]

    def secrets_of(self, project_name: str) -> Sequence[str]:
        """The values of all sensitive variables of a project and its environments."""
        with self._database.read() as session:
            values = session.scalars(
                select(tables.Variable.value)
                .join(tables.Project, tables.Project.id == tables.Variable.project_id)
                .where(tables.Project.name == project_name, tables.Variable.sensitive)
            ).all()
        return [self._decrypt(value) for value in values]

    def derived(self, label: str) -> bytes:
        """A secret of its own for each label, from the key that lies outside the database."""
        self._cipher()
        return hmac.digest(self._key_file.read_bytes().strip(), label.encode(), "sha256")

    def _cipher(self) -> Fernet:
        if not self._key_file.exists():
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            own = self._key_file.with_suffix(f".{Fernet.generate_key()[:8].hex()}")
            own.touch(mode=0o600)
            own.write_bytes(Fernet.generate_key())
            try:
                self._key_file.hardlink_to(own)
            except FileExistsError:
                pass
            finally:
                own.unlink()
        return Fernet(self._key_file.read_bytes())

    def _decrypt(self, value: bytes) -> str:
        try:
            return self._cipher().decrypt(value).decode()
        except (InvalidToken, ValueError):
            raise Failed(
                336,
                f"The key {self._key_file} does not open the variables in the state database.",
                "put back the key that belongs to this database: docs/how-to/back-up-branchline.md",
            ) from None


def _named(project: Project, environment: Environment | None, name: str) -> ColumnElement[bool]:
    return and_(
        tables.Variable.project_id == project.id,
        tables.Variable.environment_id.is_not_distinct_from(environment.id if environment else None),
        tables.Variable.name == name,
    )
