"""The state of the platform, one component per noun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from branchline.state.activities import Activities
from branchline.state.announcements import Announcements
from branchline.state.approvals import Approvals
from branchline.state.artifacts import Artifacts
from branchline.state.database import StateDatabase
from branchline.state.deployments import Deployments
from branchline.state.environments import Environments
from branchline.state.leases import Leases
from branchline.state.people import People
from branchline.state.pushes import Pushes
from branchline.state.releases import Releases
from branchline.state.retention import Retention
from branchline.state.running import Running
from branchline.state.timetables import Timetables
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
    people: People
    releases: Releases
    approvals: Approvals
    timetables: Timetables
    pushes: Pushes
    announcements: Announcements
    running: Running
    retention: Retention


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
        people=People(database),
        releases=Releases(database),
        approvals=Approvals(database),
        timetables=Timetables(database),
        pushes=Pushes(database),
        announcements=Announcements(database),
        running=Running(database),
        retention=Retention(database),
    )
