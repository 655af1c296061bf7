"""What an application is told about itself: as environment, and as files beside its release.

The names are Branchline's own and those that applications of the platforms it follows know
(`MAGENTO_CLOUD_*`, `PLATFORM_*`).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from branchline.domain import variable
from branchline.domain.app import App
from branchline.domain.environment import Deployment, Environment, Project, database_slot, service_and_engine
from branchline.domain.variable import Variable
from branchline.platform import Platform
from branchline.ports import Box

PREFIXES = ("BRANCHLINE_", "MAGENTO_CLOUD_", "PLATFORM_")
APP_DIRECTORY = "/app"


def build_time_environment(platform: Platform, project: Project, commit: str) -> dict[str, str]:
    """No relationships, and only what is visible at build time."""
    app = platform.app(project, commit)
    tree = platform.repository(project.name).resolve(commit).tree
    variables = [each for each in platform.store.variables.of(project) if each.at_build]
    return {
        **variable.at_build(variables, app.variables.env),
        **_told(
            {
                "PROJECT": project.name,
                "TREE_ID": tree,
                "APP_DIR": APP_DIRECTORY,
                "APPLICATION": _encoded(_application(app)),
                "VARIABLES": _encoded({each.name: each.value for each in variables}),
            }
        ),
    }


def run_time_environment(
    platform: Platform, environment: Environment, deployment: Deployment
) -> dict[str, str]:
    """What hooks, checks and processes of a deployment get."""
    app = platform.app(environment.project, deployment.commit)
    variables = [each for each in run_time_variables(platform, environment) if each.at_run]
    return {
        **variable.at_run(variables, app.variables.env),
        **_told(
            {
                "PROJECT": environment.project.name,
                "BRANCH": environment.branch,
                "ENVIRONMENT": environment.name,
                "TREE_ID": deployment.tree,
                "APP_DIR": APP_DIRECTORY,
                "APPLICATION": _encoded(_application(app)),
                "ROUTES": _encoded({url: asdict(route) for url, route in app.routes.items()}),
                "VARIABLES": _encoded({each.name: each.value for each in variables}),
                "RELATIONSHIPS": _encoded(relationships(platform, environment, deployment, app)),
            }
        ),
    }


def run_time_variables(platform: Platform, environment: Environment) -> list[Variable]:
    return list(platform.store.variables.of(environment.project, environment))


def settings_fingerprint(platform: Platform, environment: Environment, app: App) -> str:
    """Changes when a redeploy of the same artifact would tell the application something else."""
    return variable.fingerprint(variable.at_run(run_time_variables(platform, environment), app.variables.env))


def relationships(
    platform: Platform, environment: Environment, deployment: Deployment, app: App
) -> dict[str, list[dict[str, Any]]]:
    """By the application's own name for it; one entry each, of the deployment's own data version."""
    slots = {name: database_slot(name, service.engine) for name, service in app.services.items()}
    return {
        name: [
            {
                "rel": relationship.endpoint,
                "service": relationship.service,
                **platform.database(environment, slot.partition(":")[2]).relationship(deployment.data[slot]),
            }
        ]
        for name, relationship in app.relationships.items()
        if (slot := slots[relationship.service]) in deployment.data
    }


def box(platform: Platform, environment: Environment, deployment: Deployment, tag: str) -> Box:
    """What the deployment's hooks, checks and processes see. Whatever the operation `tag` prints from now on is without
    the passwords in it.
    """
    app = platform.app(environment.project, deployment.commit)
    told = relationships(platform, environment, deployment, app)
    passwords = [
        str(each["password"]) for entries in told.values() for each in entries if each.get("password")
    ]
    platform.operations.hide(tag, passwords)
    versions = {slot: platform.store.deployments.version(each) for slot, each in deployment.data.items()}
    return Box(
        tree=platform.trees.at_hand(deployment.digest),
        mounts={
            version.name: platform.layout.mount(environment, version)
            for slot, version in versions.items()
            if slot.startswith("mount:")
        },
        writable=[
            platform.layout.data(environment, slot) / version.id
            for slot, version in versions.items()
            if slot.startswith("database:") and service_and_engine(version.name)[1] == "sqlite"
        ],
        environment=run_time_environment(platform, environment, deployment),
        tag=tag,
    )


def write_files(platform: Platform, environment: Environment, deployment: Deployment) -> Path:
    """`relationships.json`, `variables.json` and `environment` beside the release, for its owner's eyes only."""
    app = platform.app(environment.project, deployment.commit)
    told = {
        **run_time_environment(platform, environment, deployment),
        **_told({"HOLD_FILE": str(platform.layout.hold_file(environment))}),
    }
    directory = platform.layout.release(environment, deployment.id)
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "relationships.json", _pretty(relationships(platform, environment, deployment, app)))
    variables = {each.name: each.value for each in run_time_variables(platform, environment) if each.at_run}
    _write(directory / "variables.json", _pretty(variables))
    _write(
        directory / "environment",
        "".join(f"{name}={json.dumps(value)}\n" for name, value in sorted(told.items())),
    )
    return directory


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def _told(values: Mapping[str, str]) -> dict[str, str]:
    return {prefix + name: value for prefix in PREFIXES for name, value in values.items()}


def _application(app: App) -> dict[str, Any]:
    return {
        "name": app.name,
        "type": app.type,
        "mounts": sorted(app.mounts),
        "crons": {name: asdict(cron) for name, cron in app.crons.items()},
        "web": asdict(app.web),
    }


def _encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value, sort_keys=True).encode()).decode()


def _pretty(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=2) + "\n"
