"""The state of the platform, one component per noun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from branchline.state.activities import Activities
from branchline.state.artifacts import Artifacts
from branchline.state.database import StateDatabase
from branchline.state.deployments import Deployments
from branchline.state.environments import Environments
from branchline.state.leases import Leases
from branchline.state.variables import Variables


@dataclass(frozen=True, slots=True)
class Store:
    """What is known. Everything that goes in or comes out is a frozen value of `branchline.domain`."""

    database: StateDatabase
    environments: Environments
    artifacts: Artifacts
    deployments: Deployments
    activities: Activities
    leases: Leases
    variables: Variables


def open_store(url: str, key_file: Path) -> Store:
    """Opens the state database, bringing its schema up to date.

    Raises Refused when a newer Branchline made it, Unavailable when it is locked, Failed when it is
    damaged or cannot be written.
    """
    database = StateDatabase(url)
    return Store(
        database=database,
        environments=Environments(database),
        artifacts=Artifacts(database),
        deployments=Deployments(database),
        activities=Activities(database),
        leases=Leases(database),
        variables=Variables(database, key_file),
    )
