"""The operations that are killed, each with what is there before it. A new flow is one more entry."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from branchline.domain.release import NewRelease
from branchline.launch import run_flow
from branchline.platform import Platform
from branchline.steps.promote import environment_at
from tests.workshop.application import Kind, application
from tests.workshop.home import Home

Served = tuple[str | None, int | None]
"""The version of the code and the schema of the database that an environment serves."""


@dataclass(frozen=True)
class Scenario:
    """`old` is served before the operation, `new` after it; nothing else ever."""

    prepare: Callable[[Home], None]
    flow: str
    parameters: Mapping[str, Any]
    old: Served
    new: Served
    environment: str = "store/master"
    next: Mapping[str, Any] = field(default_factory=lambda: {"force": True})
    """Parameters of the deploy that must succeed after recovery."""
    also: Callable[[Platform, Served], Iterator[str]] = lambda _platform, _served: iter(())
    """What else is wrong after recovery, when this is served."""


def _deployed(home: Home, version: int, *, kind: Kind = "exclusive", schema: int = 1) -> None:
    _pushed(home, version, kind=kind, schema=schema)
    home.run("deploy_environment", environment="store/master")


def _pushed(home: Home, version: int, *, kind: Kind = "exclusive", schema: int = 1) -> None:
    home.commit(application(version, kind=kind, schema=schema))
    home.push()


def _one_then(kind: Kind, schema: int, *, deploy: bool = False) -> Callable[[Home], None]:
    def prepare(home: Home) -> None:
        _deployed(home, 1, kind=kind)
        (_deployed if deploy else _pushed)(home, 2, kind=kind, schema=schema)

    return prepare


def _staging_behind(home: Home) -> None:
    _deployed(home, 1)
    home.run("promote_to_staging", project="store")
    _deployed(home, 2, schema=2)


def _production_ahead(home: Home) -> None:
    _deployed(home, 1)
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")


def _due(home: Home) -> None:
    """A release of version 2."""
    _staging_behind(home)
    past = datetime(2026, 1, 1, tzinfo=UTC)
    with home.opened() as platform:
        source, target = (environment_at(platform, f"store/{each}") for each in ("master", "staging"))
        pinned = platform.current(source)
        new = NewRelease(
            kind="promotion",
            environment_id=target.id,
            source_id=source.id,
            digest=pinned.digest,
            commit=pinned.commit,
            due_at=past,
            zone="UTC",
            latest_start_at=datetime(9999, 1, 1, tzinfo=UTC),
            late="ask",
            author="ann",
        )
        platform.store.releases.create(new, past)


def _not_lost(platform: Platform, now: Served) -> Iterator[str]:
    """It is done when it is served, else scheduled; then it runs, and has run once."""
    (release,) = platform.store.releases.list()
    if release.state != ("done" if now == ("2", 2) else "scheduled"):
        yield f"it serves {now}, and its release is {release.state}"
    run_flow("run_release", {"environment": "store/staging"})
    (release,) = platform.store.releases.list()
    ran = [
        each.result
        for each in platform.store.activities.recent(limit=99)
        if each.kind == "release" and each.result in ("success", "skipped")
    ]
    if (release.state, ran) != ("done", ["success"]):
        yield f"run again, its release is {release.state} and ran: {ran}"


SCENARIOS = {
    "first deploy": Scenario(
        lambda _home: None,
        "deploy_environment",
        {"environment": "store/master"},
        (None, None),
        ("1", 1),
    ),
    "deploy, migrations: exclusive": Scenario(
        _one_then("exclusive", 2), "deploy_environment", {"environment": "store/master"}, ("1", 1), ("2", 2)
    ),
    "deploy, migrations: compatible": Scenario(
        _one_then("compatible", 1), "deploy_environment", {"environment": "store/master"}, ("1", 1), ("2", 1)
    ),
    "deploy, migrations: none": Scenario(
        _one_then("none", 1), "deploy_environment", {"environment": "store/master"}, ("1", None), ("2", None)
    ),
    "promote": Scenario(
        _staging_behind,
        "promote_to_staging",
        {"project": "store"},
        ("1", 1),
        ("2", 2),
        environment="store/staging",
    ),
    "roll back the code": Scenario(
        _one_then("exclusive", 1, deploy=True),
        "roll_back_environment",
        {"environment": "store/master"},
        ("2", 1),
        ("1", 1),
    ),
    "roll back code and data": Scenario(
        _one_then("exclusive", 2, deploy=True),
        "roll_back_environment",
        {"environment": "store/master", "discard_writes": True},
        ("2", 2),
        ("1", 1),
    ),
    "deactivate": Scenario(
        _one_then("exclusive", 1, deploy=True),
        "deactivate_environment",
        {"environment": "store/master"},
        ("2", 1),
        (None, None),
    ),
    "build": Scenario(
        _one_then("exclusive", 2), "build_artifact", {"project": "store", "ref": "master"}, ("1", 1), ("1", 1)
    ),
    "sync": Scenario(
        _production_ahead,
        "sync_data",
        {"environment": "store/staging"},
        ("1", 1),
        ("1", 1),
        environment="store/staging",
    ),
    "release": Scenario(
        _due,
        "run_release",
        {"environment": "store/staging"},
        ("1", 1),
        ("2", 2),
        environment="store/staging",
        also=_not_lost,
    ),
}
