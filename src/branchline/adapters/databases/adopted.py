"""A database that was there before Branchline: read from, deployed against, never cloned over, switched or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn, Protocol

from branchline.errors import Refused
from branchline.ports import Loader, Snapshot


class Existing(Protocol):
    """One database by the URL of an account. Each asks its server; none writes."""

    def version(self) -> str:
        """Of its server, as services.yaml writes it. Raises Unavailable or Refused."""

    def identity(self) -> frozenset[str]:
        """Names by which it is known whatever address leads to it: two are the same database when they share one."""

    def writable(self) -> Sequence[str]:
        """By which rights the account could write, in words; empty where it can only read."""

    def size(self) -> int:
        """Bytes on disk."""

    def relationship(self) -> Mapping[str, object]:
        """What an application is told to connect with."""

    def lag(self) -> float | None:
        """Seconds that replication is behind; None where the account may not be told."""

    def snapshot(self, longest_lag: float | None) -> AbstractContextManager[Snapshot]:
        """Opens it for reading at one moment; reading pauses while replication is further behind."""


class AdoptedDatabase:
    """Implements `branchline.ports.Database` over one database, which every version's name stands for.

    `own` is the application's way to it, `source` that of syncs.
    """

    def __init__(self, own: Existing, source: Existing, longest_lag: float | None = None) -> None:
        self.own, self.source, self._longest_lag = own, source, longest_lag

    def create(self, name: str) -> None:  # noqa: ARG002 - any name stands for it
        """Makes nothing: it only has to answer."""
        self.own.version()
        self.source.version()

    def clone(self, source: str, name: str) -> None:  # noqa: ARG002
        self._refuse("cloned")

    def remove(self, name: str) -> None:
        """Nothing: it is not Branchline's to remove."""

    def names(self) -> Sequence[str]:
        return ()

    def size(self, name: str) -> int:  # noqa: ARG002
        return self.source.size()

    def relationship(self, name: str) -> Mapping[str, object]:  # noqa: ARG002
        return self.own.relationship()

    @contextmanager
    def snapshot(self, name: str) -> Iterator[Snapshot]:  # noqa: ARG002
        with self.source.snapshot(self._longest_lag) as snapshot:
            yield snapshot

    def loader(self, name: str) -> AbstractContextManager[Loader]:  # noqa: ARG002
        self._refuse("filled")

    def _refuse(self, what: str) -> NoReturn:
        raise Refused(
            529,
            f"An adopted database is never {what}: it was there before Branchline and stays as it is.",
            "take its line out of adopted_databases only when Branchline shall make the environment a database of its own",
        )
