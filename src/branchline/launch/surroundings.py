"""The environment variables of what `branchline up` starts: where Prefect keeps its things, and that it stays at home."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from branchline.errors import Refused
from branchline.wiring import CHECKOUT

AUTH = "PREFECT_SERVER_API_AUTH_STRING"
ORIGINS = "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"

_AT_HOME = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
"""Else the server tells its makers that it runs."""
_UNLESS_SET = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
}
"""Limits in memory would be occupied for ever after a restart of the server."""
_NOT_PASSED_ON = {
    "BRANCHLINE_ACTOR",
    "BRANCHLINE_REQUEST_KEY",
    "PREFECT_PROFILE",
    "PREFECT_PROFILES_PATH",
    "PREFECT_API_KEY",
}
"""Who types `branchline up` is not who starts the runs; and a profile lies in another PREFECT_HOME."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = 4200

    @property
    def loopback(self) -> bool:
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """Its API, as this host reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - only compared
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}/api"


def of_own_server(place: Place, home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """For the server and for all that talks to it.

    Raises Refused (356) where others could reach it and it has no password, or takes requests from any page.
    """
    missing = [name for name in (AUTH, ORIGINS) if not environ.get(name)]
    if not place.loopback and missing:
        raise Refused(
            356,
            f"On {place.host} others reach the server: it needs {' and '.join(missing)}.",
            f'export {AUTH}="user:password" {ORIGINS}=https://where.its.ui.is.seen, or leave --host out',
        )
    origin = place.url.removesuffix("/api")
    near = f"{origin},{origin.replace('127.0.0.1', 'localhost')}"
    origins = environ.get(ORIGINS) or near
    first = origins.split(",")[0].rstrip("/")
    return {
        "PREFECT_SERVER_UI_API_URL": f"{first}/api",
        **_UNLESS_SET,
        **_plain(environ),
        **_AT_HOME,
        ORIGINS: origins,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": place.url,
        **({"PREFECT_API_AUTH_STRING": environ[AUTH]} if environ.get(AUTH) else {}),
    }


def of_joined_server(environ: Mapping[str, str]) -> dict[str, str]:
    """For what talks to a server that is there already."""
    kept = {name: environ[name] for name in ("PREFECT_API_KEY", "PREFECT_PROFILE") if name in environ}
    return {**_plain(environ), **kept, "DO_NOT_TRACK": "1"}


def of_worker(shared: Mapping[str, str]) -> dict[str, str]:
    """It looks for work each second; its runs find the flows."""
    return {"PREFECT_WORKER_QUERY_SECONDS": "1", **shared, "BRANCHLINE_CHECKOUT": str(CHECKOUT)}


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _NOT_PASSED_ON}
