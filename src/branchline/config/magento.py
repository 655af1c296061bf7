"""Reads a Magento Commerce Cloud repository's files as Branchline's own: the keys are the same, some are more.

A key that has no effect here and does no harm by it is left out with a warning; any other key that Branchline
does not have is found by the validation that every application goes through.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from branchline.config.yaml_source import Document, Path, Problem

_NO_LIMIT = "has no effect: Branchline sets no limit on it"
_NO_PHP = "has no effect: Branchline does not configure PHP"
_ONE_PROCESS = "has no effect: the start command answers every request"
_NO_CACHE = "has no effect: Branchline's routes have no cache"

_APP_WITHOUT_EFFECT: dict[Path, str] = {
    ("size",): _NO_LIMIT,
    ("disk",): _NO_LIMIT,
    ("resources",): _NO_LIMIT,
    ("access",): "has no effect: who may do what is the project's, not the application's",
    ("timezone",): "has no effect: crons run in UTC",
    ("runtime",): _NO_PHP,
    ("source",): "has no effect: there are no source operations",
    ("preflight",): "has no effect: the configuration is always checked",
    ("variables", "php"): _NO_PHP,
    ("web", "locations", "*", "root"): _ONE_PROCESS,
    ("web", "locations", "*", "index"): _ONE_PROCESS,
    ("web", "locations", "*", "scripts"): _ONE_PROCESS,
    ("web", "locations", "*", "allow"): _ONE_PROCESS,
    ("web", "locations", "*", "expires"): _ONE_PROCESS,
    ("web", "locations", "*", "headers"): _ONE_PROCESS,
    ("web", "locations", "*", "rules"): _ONE_PROCESS,
    ("workers", "*", "size"): _NO_LIMIT,
    ("workers", "*", "disk"): _NO_LIMIT,
    ("crons", "*", "shutdown_timeout"): "has no effect: a cron is ended at its timeout",
    ("crons", "*", "commands", "stop"): "has no effect: a cron is ended at its timeout",
}
_SERVICES_WITHOUT_EFFECT: dict[Path, str] = {("*", "size"): _NO_LIMIT, ("*", "resources"): _NO_LIMIT}
_ROUTES_WITHOUT_EFFECT: dict[Path, str] = {
    ("*", "cache"): _NO_CACHE,
    ("*", "ssi"): "has no effect: there are no server-side includes",
    ("*", "id"): "has no effect: routes are named by their URL",
    ("*", "primary"): "has no effect: the first route is the primary one",
    ("*", "attributes"): "has no effect: Branchline reads no attributes",
}


def translated(
    app: Document, services: Document, routes: Document
) -> tuple[Document, Document, Document, Sequence[Problem]]:
    """The three files with Branchline's keys only, and a warning for each key that was left out."""
    warnings: list[Problem] = []
    app = _without(app, _APP_WITHOUT_EFFECT, warnings)
    services = _without(services, _SERVICES_WITHOUT_EFFECT, warnings)
    routes = _without(routes, _ROUTES_WITHOUT_EFFECT, warnings)
    app = _renamed(app, warnings)
    return app, services, routes, warnings


def _without(document: Document, without_effect: dict[Path, str], warnings: list[Problem]) -> Document:
    value = copy.deepcopy(document.value)
    for pattern, why in without_effect.items():
        for holder, path in list(_matches(value, pattern, ())):
            del holder[path[-1]]
            warnings.append(document.problem(path, why))
    return replace(document, value=value)


def _matches(
    value: Any, pattern: Path, path: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Each mapping that holds a key of the pattern, with the whole path of that key."""
    if not isinstance(value, dict):
        return
    head, *rest = pattern
    for key in list(value) if head == "*" else [str(head)] if head in value else []:
        if rest:
            yield from _matches(value[key], tuple(rest), (*path, key))
        else:
            yield value, (*path, key)


def _renamed(app: Document, warnings: list[Problem]) -> Document:
    """What Magento writes otherwise: mounts with a / at an end, passthru as a script, a cron's commands, a flavor."""
    if not isinstance(app.value, dict):
        return app
    value, problems = app.value, list(app.problems)
    for cron, _ in _matches(value, ("crons", "*", "commands"), ()):
        if isinstance(cron["commands"], dict) and set(cron["commands"]) == {"start"} and "cmd" not in cron:
            cron["cmd"] = cron.pop("commands")["start"]
    for location, _ in _matches(value, ("web", "locations", "*", "passthru"), ()):
        location["passthru"] = (
            bool(location["passthru"]) if isinstance(location["passthru"], str) else location["passthru"]
        )
    for build, path in _matches(value, ("build", "flavor"), ()):
        flavor = build.pop("flavor")
        if flavor != "none":
            problems.append(
                app.problem(path, f"{flavor} is not supported: put its commands in hooks.build and take none")
            )
    if isinstance(value.get("mounts"), dict):
        value["mounts"] = {path.strip("/"): mount for path, mount in value["mounts"].items()}
    if isinstance(value.get("web"), dict) and "commands" not in value["web"]:
        warnings.append(
            app.problem(("web",), "starts no process: Branchline has no PHP-FPM; set web.commands.start")
        )
    return replace(app, value=value, problems=tuple(problems))
