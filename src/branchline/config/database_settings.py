"""Where environments have their databases, as branchline.yaml says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, with_config

from branchline.config.schema import Broken
from branchline.config.secret_places import UrlOrReference, has_password, one_place
from branchline.domain.app import FORBID_UNKNOWN, SERVER_ENGINES
from branchline.domain.environment import Tier
from branchline.domain.plan import TIERS
from branchline.domain.units import Seconds


def _engine(value: Any) -> Any:
    if value not in SERVER_ENGINES:
        raise ValueError(f"must be one of {', '.join(sorted(SERVER_ENGINES))}")
    return value


def _tiers(value: Any) -> Any:
    return TIERS if value == "all" else value


Engine = Annotated[str, BeforeValidator(_engine)]


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A server on which Branchline makes databases and the accounts that they have."""

    engine: Engine
    """Whose server it is, such as `postgresql`."""
    url: UrlOrReference
    """URL of an account that may create databases and accounts: without a password, or {file: ...} or {env: ...} where one
    with a password lies."""
    tiers: Annotated[tuple[Tier, ...], BeforeValidator(_tiers)] = TIERS
    """Environments of which tiers have their databases there: a list, or all."""


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class AdoptedDatabase:
    """A database that is read by syncs and told to the application, and never cloned, switched or dropped."""

    engine: Engine
    """Whose server it is on, such as `postgresql`."""
    url: UrlOrReference
    """URL of the database with the application's account: without a password, or where one with a password lies."""
    source_url: UrlOrReference | None = None
    """URL that syncs read from: an account that can only read, a standby; without it, `url`."""
    allow_writable_source: StrictBool = False
    """Whether syncs may read with an account that could write."""
    max_replication_lag: Annotated[Seconds, Field(gt=0)] | None = None
    """A sync pauses while the source's replication is further behind than this."""


def contradictions(
    servers: Mapping[str, DatabaseServer], adopted: Mapping[str, AdoptedDatabase]
) -> Iterator[Broken]:
    """What each value alone cannot say."""
    first: dict[tuple[str, Tier], str] = {}
    for name, server in servers.items():
        yield from _url(("database_servers", name, "url"), server.url)
        for tier in dict.fromkeys(server.tiers):
            other = first.setdefault((server.engine, tier), name)
            if other != name:
                place = ("database_servers", name, "tiers")
                yield (
                    place,
                    f"{other} has the {server.engine} databases of {tier} already; a tier has one server",
                )
    for name, each in adopted.items():
        if name.count("/") != 2 or not all(name.split("/")):  # noqa: PLR2004 - three parts
            yield (
                ("adopted_databases", name),
                "must be named project/environment/service, such as shop/production/db",
            )
        yield from _url(("adopted_databases", name, "url"), each.url)
        yield from _url(("adopted_databases", name, "source_url"), each.source_url)


def _url(key: tuple[str, ...], place: Any) -> Iterator[Broken]:
    yield from one_place(key, place)
    if isinstance(place, str) and has_password(place):
        yield (
            key,
            "holds a password, and no secret stands in this file: write {file: /path/to/it} or {env: NAME} instead",
        )
