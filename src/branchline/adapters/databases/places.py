"""Where the databases of environments are: in files below them, on servers by tier, or adopted where they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from branchline.adapters.databases.adopted import AdoptedDatabase, Existing
from branchline.config import Settings
from branchline.config.database_settings import AdoptedDatabase as Adoption
from branchline.config.database_settings import DatabaseServer
from branchline.config.secret_places import SecretReference, read_url
from branchline.domain.app import Service
from branchline.domain.app_rules import SERVICE_TYPES
from branchline.domain.environment import Environment, database_slot, service_and_engine
from branchline.errors import BadInput, Refused
from branchline.ports import Database

SLUG_NAME, SLUG_DIGITS = 11, 12


@dataclass(frozen=True, slots=True)
class Engine:
    """What there is of a server's engine: `managed` by URL, slug, secret and streams; `existing` by URL and name."""

    managed: Callable[[str, str, bytes, int | None], Database]
    existing: Callable[[str, str | None], Existing]


class Places:
    """Implements `branchline.ports.DatabasePlaces`. `derived` gives a secret for a label, the same one each time."""

    def __init__(
        self,
        settings: Settings,
        engines: Mapping[str, Engine],
        file: Callable[[Path], Database],
        directory: Callable[[Environment, str], Path],
        derived: Callable[[str], bytes],
    ) -> None:
        self._settings, self._engines, self._file = settings, engines, file
        self._directory, self._derived = directory, derived

    def of(self, environment: Environment, name: str) -> Database:
        service, engine = service_and_engine(name)
        if engine == "sqlite":
            return self._file(self._directory(environment, database_slot(service, engine)))
        if (adoption := self._adoption(environment, name)) is not None:
            place = self._place(environment, service)
            own = self._engine(engine).existing(_url(f"{place}.url", adoption.url), None)
            source = own
            if adoption.source_url is not None:
                source = self._engine(engine).existing(_url(f"{place}.source_url", adoption.source_url), None)
            return AdoptedDatabase(own, source, adoption.max_replication_lag)
        slug, secret = self._slug(environment, service), self._derived(f"database {environment.id} {service}")
        return self._engine(engine).managed(
            self._server_url(environment, engine), slug, secret, self._settings.sync_jobs
        )

    def adopted(self, environment: Environment, name: str) -> bool:
        return self._adoption(environment, name) is not None

    def problems(self, environment: Environment, name: str, service: Service) -> Sequence[str]:
        return list(self._problems(environment, name, service))

    def source_problems(self, source: Environment, target: Environment, name: str) -> Sequence[str]:
        return list(self._source_problems(source, target, name))

    def secrets(self) -> Sequence[str]:
        urls = [server.url for server in self._settings.database_servers.values()]
        for each in self._settings.adopted_databases.values():
            urls += [each.url, *([each.source_url] if each.source_url is not None else [])]
        return [password for url in urls if (password := _password(url))]

    def _problems(self, environment: Environment, name: str, service: Service) -> Iterator[str]:
        key, engine = service_and_engine(name)
        adoption = self._settings.adopted_databases.get(f"{environment.path}/{key}")
        if adoption is not None:
            place = self._place(environment, key)
            if environment.tier != "production":
                yield f"{place}: only a production environment's database can be adopted; {environment.path} is {environment.tier}"
            if adoption.engine != engine:
                yield f"{place}.engine: is {adoption.engine}, and services.yaml says that {key} is {service.type}"
            if environment.tier != "production" or adoption.engine != engine:
                return
            existing = self._engine(engine).existing(_url(f"{place}.url", adoption.url), None)
        elif engine == "sqlite":
            return
        elif self._server(environment, engine) is None:
            yield _no_server(environment, engine)
            return
        else:
            existing = self._engine(engine).existing(self._server_url(environment, engine), None)
        there, wanted = existing.version(), SERVICE_TYPES[service.kind]
        if there not in ((service.version,) if service.version else wanted):
            said = service.version or " or ".join(wanted)
            yield f"services.yaml asks for {engine} {said} for {key}, and the server of {environment.path} is {engine} {there}"

    def _source_problems(self, source: Environment, target: Environment, name: str) -> Iterator[str]:
        adoption = self._adoption(source, name)
        if adoption is None:
            return
        service, engine = service_and_engine(name)
        place, database = self._place(source, service), self.of(source, name)
        assert isinstance(database, AdoptedDatabase)
        key = f"{place}.{'url' if adoption.source_url is None else 'source_url'}"
        if not adoption.allow_writable_source and (rights := database.source.writable()):
            yield (
                f"{key}: the account that a sync reads with could write: {'; '.join(rights[:3])} "
                f"(name one that only reads, or a standby, or set allow_writable_source: true)"
            )
        if adoption.max_replication_lag is not None and database.source.lag() is None:
            yield f"{key}: max_replication_lag is set, and its server does not tell this account how far it is behind"
        known = database.source.identity() | database.own.identity()
        server = self._server_url(target, engine)
        for version in (there := self.of(target, name)).names():
            path = str(there.relationship(version)["path"])
            if known & self._engine(engine).existing(server, path).identity():
                yield f"{place}: it is a database of {target.path} itself ({path}): nothing is ever copied onto its own source"

    def _adoption(self, environment: Environment, name: str) -> Adoption | None:
        service, engine = service_and_engine(name)
        found = self._settings.adopted_databases.get(f"{environment.path}/{service}")
        return found if found is not None and found.engine == engine else None

    def _server(self, environment: Environment, engine: str) -> tuple[str, DatabaseServer] | None:
        servers = self._settings.database_servers.items()
        return next(
            (each for each in servers if each[1].engine == engine and environment.tier in each[1].tiers), None
        )

    def _server_url(self, environment: Environment, engine: str) -> str:
        found = self._server(environment, engine)
        if found is None:
            raise Refused(
                527,
                f"{_no_server(environment, engine).capitalize()}.",
                "docs/how-to/use-a-postgresql-database.md",
            )
        return _url(f"database_servers.{found[0]}.url", found[1].url)

    def _engine(self, engine: str) -> Engine:
        return self._engines[engine]

    def _slug(self, environment: Environment, service: str) -> str:
        """Readable, and no other's: neither another environment's nor another Branchline's on the same server."""
        secret = self._derived(f"database name {environment.id} {service}")
        readable = environment.name[:SLUG_NAME].replace("-", "_")
        return f"{readable}_{hashlib.sha256(secret).hexdigest()[:SLUG_DIGITS]}"

    def _place(self, environment: Environment, service: str) -> str:
        return f"adopted_databases.{environment.path}/{service}"


def _url(key: str, place: str | SecretReference) -> str:
    url = read_url(place)
    if not url:
        raise BadInput(
            528,
            f"The URL that {key} names cannot be read from {place}.",
            "put it there, readable for this user only",
        )
    return url


def _no_server(environment: Environment, engine: str) -> str:
    return (
        f"no server has the {engine} databases of {environment.tier} (add to config/branchline.yaml: database_servers: "
        f"{{NAME: {{engine: {engine}, url: ..., tiers: [{environment.tier}]}}}})"
    )


def _password(place: str | SecretReference) -> str:
    with suppress(ValueError):
        return unquote(urlsplit(read_url(place)).password or "")
    return ""
