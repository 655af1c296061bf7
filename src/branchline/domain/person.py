"""People who approve, and the keys they sign with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Key:
    """A public SSH key, as a line of an authorized_keys file without its comment. Revoked, it verifies nothing."""

    public_key: str
    fingerprint: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    keys: tuple[Key, ...] = ()
