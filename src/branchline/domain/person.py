"""People who approve, and the keys they sign with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from branchline.domain.names import shown
from branchline.errors import BadInput

NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}"
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
MOST_CHARACTERS = 16_000
"""Of a public key, or of a signature: more than any has."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}", re.ASCII)


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

    @property
    def valid_keys(self) -> tuple[Key, ...]:
        return tuple(each for each in self.keys if each.revoked_at is None)


def check_person(name: str) -> str:
    """Gives back a person's name. Raises BadInput."""
    if not re.fullmatch(NAME, name):
        raise BadInput(
            260,
            f"The name {shown(name)} must be 1 to 63 of letters, digits and . _ @ + -, beginning with a letter or digit.",
            "use the name that branchline person list shows",
        )
    return name


def read_public_key(text: str) -> str:
    """The key in a file such as id_ed25519.pub, without its comment. Raises BadInput, never with what the file holds."""
    if "PRIVATE KEY" in text[:MOST_CHARACTERS]:
        raise BadInput(
            262,
            "This is a private key, which nobody else needs.",
            "give the file beside it that ends with .pub",
        )
    lines = [each for each in text[: MOST_CHARACTERS + 1].splitlines() if each.strip()]
    parts = lines[0].split() if lines else []
    if len(text) > MOST_CHARACTERS or len(lines) != 1 or not _is_key(parts):
        raise BadInput(
            262,
            f"This is no public key: one line that begins with {', '.join(KEY_TYPES[:3])} or the like is needed.",
            "ssh-keygen -t ed25519 makes one in ~/.ssh/id_ed25519.pub",
        )
    return f"{parts[0]} {parts[1]}"


def _is_key(parts: list[str]) -> bool:
    return len(parts) > 1 and parts[0] in KEY_TYPES and _BASE64.fullmatch(parts[1]) is not None
