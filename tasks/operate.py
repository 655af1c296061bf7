"""The frame of a flow: leases, journal and end, around the steps."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.runtime import deployment, flow_run

from branchline.domain.activity import Want
from branchline.operation import Request
from branchline.steps.preflight import ensure_environment
from branchline.steps.promote import TargetTier, environment_at, promotion_pair
from branchline.steps.sync_source import sync_source
from branchline.wiring import open_platform

WAIT_SECONDS = 3600.0


@contextmanager
def operation(
    kind: str,
    environment: str,
    *,
    sentence: str,
    reads: str | None = None,
    wait: bool = False,
    actor: str | None = None,
    **parameters: Any,
) -> Iterator[str]:
    """The id of an operation that changes `environment` (project/name) and reads another undisturbed.

    `actor` is for whom Branchline itself has begun it: who pushed, or whose release is due. Raises Unavailable when somebody else is at one of them (after an hour, with `wait`).
    """
    project, _, name = environment.partition("/")
    wants = [Want(f"environment:{environment}")]
    if reads:
        wants.append(Want(f"environment:{reads}", exclusive=False))
    request = Request(
        kind=kind,
        project=project,
        environment=name,
        wants=wants,
        sentence=_writable(sentence),
        parameters={key: _writable(value) for key, value in parameters.items() if value not in (None, False)},
        actor=actor or acting(),
        flow_run_id=_flow_run_id(),
        request_key=os.environ.get("BRANCHLINE_REQUEST_KEY"),
        wait_seconds=WAIT_SECONDS if wait else 0.0,
    )
    with open_platform().operations.run(request) as live:
        yield live.id


def skipped(op: str) -> bool:
    """Whether preflight found that there is nothing to do."""
    return open_platform().operations.live(op).skipped is not None


@contextmanager
def building(project: str, ref: str) -> Iterator[tuple[str, str]]:
    """The id of an operation that only builds, and the commit it builds. Raises BadInput."""
    platform = open_platform()
    found = platform.store.environments.project(project)
    commit = platform.repository(found.name).resolve(ref)
    request = Request(
        kind="build",
        project=project,
        environment="",
        wants=[Want(f"builds:{project}", exclusive=False)],
        sentence=f"build {ref} of {project}",
        parameters={"ref": ref},
        actor=acting(),
        flow_run_id=_flow_run_id(),
        request_key=os.environ.get("BRANCHLINE_REQUEST_KEY"),
    )
    with platform.operations.run(request) as live:
        yield live.id, commit.id


def deployed_environment(path: str) -> str:
    """`project/environment` of a name or branch; the environment is made when only its branch is there."""
    project, slash, name = path.partition("/")
    if not slash:
        environment_at(open_platform(), path)
    return ensure_environment(open_platform(), project, name).path


def promotion(project: str, target: TargetTier, source: str | None) -> tuple[str, str]:
    """Source and target of a promotion, as `project/environment`; `project` may name its source too."""
    project, _, named = project.partition("/")
    pair = promotion_pair(open_platform(), project, target, named or source)
    return pair[0].path, pair[1].path


def synced_environments(path: str, source: str | None) -> tuple[str, str]:
    """Source and target of a sync, as `project/environment`."""
    platform = open_platform()
    target = environment_at(platform, path)
    return sync_source(platform, target, source).path, target.path


def _writable(value: Any) -> Any:
    """What no file or database could hold, a lone surrogate, as its escape."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def acting() -> str:
    """Who acts: a run that a worker started, from the UI or by a schedule, acts as one configured role."""
    if deployment.id:
        return open_platform().settings.ui_actor
    return os.environ.get("BRANCHLINE_ACTOR") or getpass.getuser()


def _flow_run_id() -> str | None:
    return str(flow_run.id) if flow_run.id else None
