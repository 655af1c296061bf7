"""Rules between the fields of an application's configuration: what each field alone cannot say."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from itertools import combinations

from branchline.domain.app import App, Mount
from branchline.domain.cron import smallest_gap
from branchline.domain.names import mount_problem

Broken = tuple[tuple[str | int, ...], str]
"""Where in an App, and what is wrong there."""

SERVICE_TYPES = {"sqlite": ("3",), "postgresql": ("15",), "mysql": ("10.11", "9.7"), "mariadb": ("10.11",)}
"""Versions by type of service: those that the adapters are tested on. Without a version, any of them."""
ENDPOINTS = {"mariadb": "mysql"}
"""Of services whose endpoint has another name than their type."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}", re.ASCII)
_TOOL = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._+-]{0,62}", re.ASCII)
CRON_GAP = 5
"""Minutes between two times of one cron, everywhere: what runs in Production has run in Integration."""


def _names(app: App) -> Iterator[Broken]:
    for key in ("services", "relationships", "workers", "crons"):
        for name in getattr(app, key):
            if not _NAME.fullmatch(name):
                yield (
                    (key, name),
                    "must be named with 1 to 63 of a-z A-Z 0-9 _ and -, beginning with a letter or digit",
                )


def _services(app: App) -> Iterator[Broken]:
    there_is = ", ".join(f"{engine}:{version}" for engine, all_ in SERVICE_TYPES.items() for version in all_)
    for name, service in app.services.items():
        known = SERVICE_TYPES.get(service.kind)
        if known is None or (service.version and service.version not in known):
            yield ("services", name, "type"), f"{service.type} is not supported; there is: {there_is}"


def _relationships(app: App) -> Iterator[Broken]:
    for name, relationship in app.relationships.items():
        place = ("relationships", name)
        service = app.services.get(relationship.service)
        if service is None:
            yield (
                place,
                f"services.yaml has no service {relationship.service!r}{_near(relationship.service, app.services)}",
            )
        elif service.kind in SERVICE_TYPES:
            endpoint = ENDPOINTS.get(service.kind, service.kind)
            if relationship.endpoint != endpoint:
                yield (
                    place,
                    f"the endpoint of {relationship.service} is {endpoint}, not {relationship.endpoint}",
                )


def _mounts(app: App) -> Iterator[Broken]:
    for path in app.mounts:
        if problem := mount_problem(path):
            yield ("mounts", path), problem
    for outer, inner in combinations(sorted(app.mounts), 2):
        if inner.startswith(f"{outer}/"):
            yield ("mounts", inner), f"lies inside the mount {outer}; mounts may not overlap"
    seen: dict[str, str] = {}
    for path, mount in app.mounts.items():
        first = seen.setdefault(_stored_as(path, mount), path)
        if first != path:
            yield ("mounts", path), f"has the same source_path as the mount {first}"


def _stored_as(path: str, mount: Mount) -> str:
    return mount.source_path if mount.source_path is not None else path


def _processes(app: App) -> Iterator[Broken]:
    for path in app.web.locations:
        if not path.startswith("/"):
            yield ("web", "locations", path), "must begin with /"
    for name, worker in app.workers.items():
        if not worker.commands.start.strip():
            yield ("workers", name, "commands", "start"), "is empty; it is what the worker runs"


def _crons(app: App) -> Iterator[Broken]:
    for name, cron in app.crons.items():
        place = ("crons", name, "spec")
        try:
            gap = smallest_gap(cron.spec)
        except ValueError as error:
            yield place, str(error)
        else:
            if gap < CRON_GAP:
                yield (
                    place,
                    f"is due {gap} min after the time before; at least {CRON_GAP} min must lie between",
                )
        if not cron.cmd.strip():
            yield ("crons", name, "cmd"), "is empty"


def _checks(app: App) -> Iterator[Broken]:
    if app.checks.http and not app.web.commands.start:
        yield ("checks", "http"), "asks a web process, and web.commands.start does not start one"
    for index, check in enumerate(app.checks.http):
        if not check.path.startswith("/"):
            yield ("checks", "http", index, "path"), "must begin with /"
    if app.checks.healthy_for >= app.checks.timeout:
        yield (
            ("checks", "healthy_for"),
            "must be shorter than checks.timeout, or no candidate is ever healthy",
        )


def _routes(app: App) -> Iterator[Broken]:
    for url, route in app.routes.items():
        place = ("routes", url)
        if not url.startswith(("http://", "https://")):
            yield place, 'must be a URL pattern, such as "https://{default}/"'
        if route.type == "redirect" and not route.to:
            yield (*place, "to"), "is missing; a redirect says where to"
        if route.type == "upstream" and route.upstream != f"{app.name}:http":
            there = f'"{app.name}:http"'
            yield (
                (*place, "upstream"),
                f"{route.upstream or 'nothing'} is no application of this repository; there is: {there}",
            )


def _migrations(app: App) -> Iterator[Broken]:
    if app.migrations not in ("compatible", "exclusive"):
        return
    if not app.hooks.deploy.strip():
        yield ("migrations",), f"{app.migrations} needs hooks.deploy, which migrates; there is none"
    reached = {relationship.service for relationship in app.relationships.values()}
    if not any(service.engine for name, service in app.services.items() if name in reached):
        yield ("migrations",), f"{app.migrations} needs a database in relationships; there is none"


def _variables(app: App) -> Iterator[Broken]:
    for name in app.variables.env:
        if not name.isascii() or not name.isidentifier():
            yield ("variables", "env", name), "is no name of an environment variable: A-Z a-z 0-9 _"
        elif name.startswith(("BRANCHLINE_", "MAGENTO_CLOUD_", "PLATFORM_")) or name in ("PORT", "HOME"):
            yield ("variables", "env", name), "is set by Branchline; take another name"


def _tools(app: App) -> Iterator[Broken]:
    for index, tool in enumerate(app.build.tools):
        if not _TOOL.fullmatch(tool):
            yield (
                ("build", "tools", index),
                f"{tool!r} is no command name; its version is asked with --version",
            )


def _near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


_RULES: tuple[tuple[Callable[[App], Iterator[Broken]], frozenset[str]], ...] = (
    (_names, frozenset({"services", "relationships", "workers", "crons"})),
    (_services, frozenset({"services"})),
    (_relationships, frozenset({"services", "relationships"})),
    (_mounts, frozenset({"mounts"})),
    (_processes, frozenset({"web", "workers"})),
    (_crons, frozenset({"crons"})),
    (_checks, frozenset({"checks", "web"})),
    (_routes, frozenset({"routes", "name"})),
    (_migrations, frozenset({"migrations", "hooks", "services", "relationships"})),
    (_variables, frozenset({"variables"})),
    (_tools, frozenset({"build"})),
)
"""Each rule with the keys that it reads."""


def broken_rules(app: App, unknown: Collection[str] = ()) -> tuple[Broken, ...]:
    """Every rule that the configuration breaks, with the place; empty when it is sound.

    Rules that read a key in `unknown` are left out: it could not be read.
    """
    return tuple(each for rule, reads in _RULES if reads.isdisjoint(unknown) for each in rule(app))
