"""What a Prefect server must know: the work pool with its queues, and every flow of deployments/prefect.yaml.

The file stays one that `prefect deploy --all` reads; here it takes a second instead of ten. A key that this does not know is an
error, not a difference.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.templating import apply_values
from prefect.workers.process import ProcessWorker

from branchline.errors import BadInput
from branchline.launch.here import load_flow
from branchline.launch.server import POOL, QUEUES, Server
from branchline.wiring import CHECKOUT

FILE = CHECKOUT / "deployments" / "prefect.yaml"
_KEYS = {"name", "entrypoint", "description", "tags", "work_pool", "schedules", "parameters"}
_POOL_KEYS = {"name", "work_queue_name", "job_variables"}
_SCHEDULE_KEYS = {"cron", "interval", "rrule", "timezone", "slug", "active", "parameters"}


def prepare_pool(server: Server) -> None:
    """The work pool, taking runs, with its queues. Raises as `Server.asked` does."""
    with server.asked() as api:
        try:
            template = ProcessWorker.get_default_base_job_template()
            api.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        except ObjectAlreadyExists:
            api.update_work_pool(POOL, WorkPoolUpdate(is_paused=False))
        queues = {each.name: each for each in api.read_work_queues(work_pool_name=POOL)}
        for name, priority in QUEUES.items():
            if name not in queues:
                api.create_work_queue(name, priority=priority, work_pool_name=POOL)
            elif queues[name].priority != priority:
                api.update_work_queue(queues[name].id, priority=priority)


def load_flows(file: Path = FILE) -> None:
    """All that the file names; registering them is quicker then. Raises nothing: that is for `register` to say."""
    with suppress(Exception):
        for entry in yaml.safe_load(file.read_text())["deployments"]:
            _flow(entry)


def register(server: Server, file: Path = FILE) -> Sequence[str]:
    """Every flow of the file, as `flow/deployment`; a schedule that somebody paused stays paused.

    Raises BadInput (357) for a file that says something else than this understands, and as `Server.asked` does.
    """
    content = yaml.safe_load(file.read_text())
    os.environ["BRANCHLINE_CHECKOUT"] = str(CHECKOUT)
    pull: Any = apply_values(content["pull"], dict(os.environ), remove_notset=False)
    registered = []
    with server.asked() as api:
        for entry in content["deployments"]:
            _only(entry, _KEYS, file)
            _only(entry["work_pool"], _POOL_KEYS, file)
            flow = _flow(entry)
            told: dict[str, Any] = {
                "version": flow.version,
                "entrypoint": entry["entrypoint"],
                "description": entry["description"],
                "tags": entry.get("tags", []),
                "parameters": entry.get("parameters", {}),
                "work_pool_name": entry["work_pool"]["name"],
                "work_queue_name": entry["work_pool"].get("work_queue_name"),
                "job_variables": entry["work_pool"].get("job_variables", {}),
                "pull_steps": pull,
                "enforce_parameter_schema": True,
                "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
            }
            schedules = [_schedule(each, file) for each in entry.get("schedules", ())]
            try:
                found = api.read_deployment_by_name(f"{flow.name}/{entry['name']}")
            except ObjectNotFound:
                api.create_deployment(
                    flow_id=api.create_flow_from_name(flow.name),
                    name=entry["name"],
                    schedules=[DeploymentScheduleCreate(**each) for each in schedules],
                    **told,
                )
            else:
                if schedules:
                    told["schedules"] = [DeploymentScheduleUpdate(**each) for each in schedules]
                api.update_deployment(found.id, DeploymentUpdate(**told))
            registered.append(f"{flow.name}/{entry['name']}")
    return registered


def _flow(entry: Mapping[str, Any]) -> Flow[..., Any]:
    return load_flow(Path(entry["entrypoint"].partition(":")[0]).stem)


def _schedule(given: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """As Prefect's client takes it. What is not said, `active` for one, stays as it is on the server."""
    _only(given, _SCHEDULE_KEYS, file)
    zone = {"timezone": given["timezone"]} if "timezone" in given else {}
    schedule: CronSchedule | IntervalSchedule | RRuleSchedule
    if "cron" in given:
        schedule = CronSchedule(cron=given["cron"], **zone)
    elif "interval" in given:
        schedule = IntervalSchedule(interval=timedelta(seconds=given["interval"]), **zone)
    else:
        schedule = RRuleSchedule(rrule=given["rrule"], **zone)
    return {
        "schedule": schedule,
        **{key: given[key] for key in ("slug", "parameters", "active") if key in given},
    }


def _only(given: Mapping[str, Any], known: set[str], file: Path) -> None:
    if unknown := sorted(given.keys() - known):
        raise BadInput(
            357,
            f"{file.name} has {', '.join(unknown)}, which `branchline up` does not know how to register.",
            f"take it out, or register it with: prefect deploy --all --prefect-file {file.name}",
        )
