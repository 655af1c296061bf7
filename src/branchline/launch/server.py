"""A Prefect server, as what Branchline starts on it and asks it. Through Prefect's own client."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import WorkerFilter, WorkerFilterStatus
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)
from prefect.states import Cancelling, Scheduled

from branchline.errors import BadInput, BranchlineError, Refused, Unavailable

POOL = "branchline"
QUEUES = {"production": 1, "default": 10}
"""The work queues of the pool and their priorities: what changes production is taken first."""
RETRIES = 3
"""Of one request, when the server's SQLite is locked or the server is being restarted: after 2, 4 and 8 seconds."""
HEALTH_SECONDS = 5


@dataclass(frozen=True, slots=True)
class RunState:
    """`type` is Prefect's: SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, CRASHED, CANCELLING, CANCELLED, PAUSED."""

    type: str
    name: str
    message: str

    @property
    def ended(self) -> bool:
        return self.type in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Server:
    """One that is asked under its API's URL. Its methods can be called from several threads at once."""

    def __init__(self, url: str, password: str | None = None) -> None:
        """`password` is `user:password`; without it, what PREFECT_API_AUTH_STRING said when the process began."""
        self.url = url.rstrip("/")
        self._password = password

    @property
    def place(self) -> str:
        """Its URL without what may be secret in it."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    @property
    def ui(self) -> str:
        """Where its pages are."""
        return self.place.removesuffix("/api")

    @cached_property
    def api(self) -> SyncPrefectClient:
        """Prefect's own client. Its errors come out in Branchline's words within `asked`."""
        with self.named():
            return get_client(sync_client=True)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Within it, what of Prefect's takes no client asks this server."""
        password = {PREFECT_API_AUTH_STRING: self._password} if self._password else {}
        with temporary_settings({PREFECT_API_URL: self.url, **password}):
            yield

    @contextmanager
    def asked(self, retries: int = RETRIES) -> Iterator[SyncPrefectClient]:
        """The client, for requests of which each is repeated that often.

        Raises Unavailable (350) when the server does not answer, BadInput (351) for what it does not take or
        know, Refused (352) when it wants a password.
        """
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: retries}):
            try:
                yield self.api
            except ObjectNotFound as error:
                raise self._not_taken("has no such thing", error.http_exc) from None
            except httpx.HTTPStatusError as error:
                raise self._in_words(error) from None
            except httpx.HTTPError as error:
                raise self._away(str(error) or type(error).__name__) from None

    def alive(self) -> bool:
        """Whether it answers now."""
        try:
            return httpx.get(f"{self.url}/health", timeout=HEALTH_SECONDS).is_success
        except httpx.HTTPError:
            return False

    def start(
        self,
        deployment: str,
        parameters: Mapping[str, Any],
        *,
        key: str | None = None,
        at: datetime | None = None,
        production: bool = False,
        name: str | None = None,
        tags: Sequence[str] = (),
    ) -> str:
        """The id of a run of `flow/deployment`, now or at a time; asked again with the same key, of the same run.

        What changes production goes to the head of the queue. Raises as `asked` does: BadInput (351) when it
        refuses the parameters, or when no such flow is registered.
        """
        with self.asked() as api:
            try:
                found = api.read_deployment_by_name(deployment)
            except ObjectNotFound:
                raise BadInput(
                    351,
                    f"The Prefect server {self.place} has no deployment {deployment!r}.",
                    "branchline up registers them all, as does: prefect deploy --all --prefect-file deployments/prefect.yaml",
                ) from None
            run = api.create_flow_run_from_deployment(
                found.id,
                parameters=dict(parameters),
                state=Scheduled(scheduled_time=at),
                name=name,
                tags=list(tags),
                idempotency_key=key,
                work_queue_name="production" if production else None,
            )
        return str(run.id)

    def state(self, run: str) -> RunState:
        """Raises as `asked` does."""
        with self.asked() as api:
            state = api.read_flow_run(UUID(run)).state
        if state is None:
            return RunState("PENDING", "Pending", "")
        return RunState(state.type.value, state.name or "", state.message or "")

    def workers(self, pool: str) -> Sequence[str]:
        """The names of those that it hears from, sorted. Raises as `asked` does."""
        online = WorkerFilter(status=WorkerFilterStatus(any_=[WorkerStatus.ONLINE]))
        with self.asked() as api:
            return sorted(each.name for each in api.read_workers_for_work_pool(pool, worker_filter=online))

    def cancel(self, run: str) -> None:
        """Asks for its end, as the button in the UI does; content when it has ended."""
        if self.state(run).ended:
            return
        with self.asked() as api:
            api.set_flow_run_state(UUID(run), Cancelling())

    def _in_words(self, error: httpx.HTTPStatusError) -> BranchlineError:
        code = error.response.status_code
        if code in (401, 403):
            return Refused(
                352,
                f"The Prefect server {self.place} wants its password.",
                "set PREFECT_API_AUTH_STRING to what it has as PREFECT_SERVER_API_AUTH_STRING",
            )
        if error.response.is_server_error or code in (408, 429):
            return self._away(f"it answered with {code}")
        return self._not_taken("does not take that", error)

    def _away(self, reason: str) -> Unavailable:
        return Unavailable(
            350,
            f"The Prefect server {self.place} does not answer: {reason}.",
            "branchline up, or see that PREFECT_API_URL is right and that it runs",
        )

    def _not_taken(self, what: str, error: Exception) -> BadInput:
        reason = str(error)
        if isinstance(error, PrefectHTTPStatusError | httpx.HTTPStatusError):
            reason = _detail(error.response)
        return BadInput(
            351, f"The Prefect server {self.place} {what}: {reason}", "correct what it names, then repeat"
        )


def connect() -> Server | None:
    """The server that PREFECT_API_URL names; None when it is not set."""
    url = os.environ.get("PREFECT_API_URL")
    return Server(url) if url else None


def _detail(response: httpx.Response) -> str:
    """Its reason, shortened: it may repeat what was sent."""
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    return f"{detail}"[:500]
