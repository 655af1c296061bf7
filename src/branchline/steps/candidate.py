"""The candidate proves itself on its own code and data before anything points to it."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from dataclasses import replace
from http.client import HTTPException

from branchline.domain.app import Checks, HttpCheck
from branchline.domain.environment import Deployment, Environment
from branchline.errors import Failed, Refused
from branchline.platform import Work
from branchline.ports import Box
from branchline.steps.told import box

POLL_SECONDS = (0.05, 0.1, 0.2, 0.4, 1.0)
"""How long to wait before asking again: often while it starts, seldom when it is broken."""
REQUEST_SECONDS = 5.0


class Unhealthy(Failed):
    """The application's own checks say so: its artifact is to blame."""


def check_candidate(work: Work, deployment_id: str) -> None:
    """All declared checks healthy for as long as declared; else the artifact is marked bad for this environment.

    Raises Failed with what the last unhealthy answer was.
    """
    platform, environment = work.platform, work.environment
    deployment = work.deployment(deployment_id)
    app = platform.app(environment.project, deployment.commit)
    if not app.checks.commands and not app.checks.http:
        work.run.detail = "no checks are declared"
        return
    rules = platform.plan(environment.project).rules(environment.tier)
    checks = replace(app.checks, healthy_for=max(app.checks.healthy_for, rules.healthy_for))
    work.operation.making("processes", work.operation.id)
    try:
        _prove(work, environment, deployment, checks, app.web.commands.start)
    except Unhealthy as error:
        platform.store.artifacts.mark_bad(
            work.grip,
            environment,
            deployment.digest,
            work.operation.redactor.clean(error.message),
            platform.clock(),
        )
        raise
    work.run.detail = f"{len(app.checks.commands)} commands and {len(app.checks.http)} pages healthy"


def check_source(work: Work, source: Environment) -> None:
    """What is promoted must be healthy now: the source's own checks, on its own code and data. Raises Refused."""
    deployment = work.platform.current(source)
    app = work.platform.app(source.project, deployment.commit)
    if not app.checks.commands and not app.checks.http:
        work.run.detail = "no checks are declared"
        return
    work.operation.making("processes", work.operation.id)
    try:
        _prove(work, source, deployment, replace(app.checks, healthy_for=0.0), app.web.commands.start)
    except Unhealthy as error:
        raise Refused(
            216,
            f"{source.path} is not healthy now: {error.message}",
            f"branchline deploy {source.path} --force",
        ) from None
    work.run.detail = f"{source.path} is healthy"


def _prove(work: Work, environment: Environment, deployment: Deployment, checks: Checks, start: str) -> None:
    seen = box(work.platform, environment, deployment, work.operation.id)
    if not checks.http:
        _until_healthy(work, checks, seen, None)
        return
    with work.platform.sandbox.serve(start, seen, output=work.operation.output) as port:
        _until_healthy(work, checks, seen, port)


def _until_healthy(work: Work, checks: Checks, seen: Box, port: int | None) -> None:
    deadline = time.monotonic() + checks.timeout
    healthy_since: float | None = None
    asked = 0
    while True:
        problem = _problem(work, checks, seen, port)
        now = time.monotonic()
        if problem is None:
            healthy_since = healthy_since or now
            if now - healthy_since >= checks.healthy_for:
                return
        else:
            healthy_since = None
        if now >= deadline:
            raise Unhealthy(
                470,
                f"The candidate was not healthy within {checks.timeout:g} s: "
                f"{problem or f'its checks did not stay healthy for {checks.healthy_for:g} s'}.",
                f"branchline activity log {work.operation.id}",
            )
        time.sleep(POLL_SECONDS[min(asked, len(POLL_SECONDS) - 1)])
        asked += 1


def _problem(work: Work, checks: Checks, seen: Box, port: int | None) -> str | None:
    for page in checks.http:
        problem = _ask(f"http://127.0.0.1:{port}", page)
        if problem:
            return problem
    for command in checks.commands:
        try:
            work.platform.sandbox.run(command, seen, timeout=checks.timeout, output=work.operation.output)
        except Failed as error:
            return f"check `{command}`: {error.message}"
    return None


def _ask(site: str, page: HttpCheck) -> str | None:
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(site + page.path, timeout=REQUEST_SECONDS) as answer:
            status, body = answer.status, answer.read(1_000_000)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(1_000_000)
    except OSError as error:
        return f"{page.path} does not answer ({error})"
    except HTTPException as error:  # what it said may be anything: it is not repeated
        return f"{page.path} does not answer as HTTP ({type(error).__name__})"
    if status != page.status:
        return f"{page.path} answers {status} instead of {page.status}"
    if page.contains is not None and page.contains.encode() not in body:
        return f"{page.path} does not contain {page.contains!r}"
    return None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None
