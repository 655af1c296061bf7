"""What people said about a release, and what their signatures say of themselves."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from branchline.domain.person import MOST_CHARACTERS, Person
from branchline.domain.release import Approval, Decision
from branchline.errors import BadInput, Refused

NAMESPACE = "branchline"
"""What the signatures are for: one that was made for Git or a file says so, and does not count."""
_ARMOUR = re.compile(r"-----BEGIN SSH SIGNATURE-----([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----", re.ASCII)
_MAGIC = b"SSHSIG\x00\x00\x00\x01"
_WIDTH = 70
MOST_OF_A_COMMENT = 500


@dataclass(frozen=True, slots=True)
class GivenApproval:
    """What a person's decision is worth now. `problem` says why it does not count, None when nothing is against it.

    A mere claim is not `signed`, and has no `fingerprint`; whether it counts, the tier's rules say.
    """

    person: str
    decision: Decision
    signed: bool
    fingerprint: str | None
    comment: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Seal:
    """A signature as it describes itself; nothing of it is verified. `armoured` is in the form that ssh-keygen writes."""

    armoured: str
    fingerprint: str
    namespace: str


def read_signature(text: str) -> Seal:
    """What `ssh-keygen -Y sign` has written, line ends or not: a form may have dropped them. Raises BadInput."""
    found = _ARMOUR.fullmatch(text.strip()) if len(text) <= MOST_CHARACTERS else None
    try:
        if found is None:
            raise ValueError  # noqa: TRY301 - one way to say it
        packed = b64decode("".join(found[1].split()), validate=True)
        if not packed.startswith(_MAGIC):
            raise ValueError  # noqa: TRY301 - the same
        key, namespace, *_ = _strings(packed[len(_MAGIC) :])
        body = "\n".join(wrap(b64encode(packed).decode(), _WIDTH))
        return Seal(
            f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n",
            f"SHA256:{b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}",
            namespace.decode(),
        )
    except ValueError:
        raise BadInput(
            265,
            "This is no signature: it must be all that ssh-keygen -Y sign has written, -----BEGIN SSH SIGNATURE----- and its end included.",
            "branchline release approve signs and sends in one command",
        ) from None


def check_seal(seal: Seal, person: Person | None, name: str) -> None:
    """Whether it can be that person's at all. Raises Refused for another namespace or key."""
    if seal.namespace != NAMESPACE:
        raise Refused(
            267,
            f"The signature was made for {seal.namespace[:40]!a}, not for {NAMESPACE}.",
            f"sign with ssh-keygen -Y sign -n {NAMESPACE}",
        )
    if problem := key_problem(seal.fingerprint, person, name):
        raise Refused(
            266, f"The signature does not count: {problem}.", f"branchline person add {name} --key FILE"
        )


def key_problem(fingerprint: str, person: Person | None, name: str) -> str | None:
    """Why a key does not sign for a person, in words; None when it does."""
    if person is None:
        return f"{name} is not registered, and has no keys"
    for key in person.keys:
        if key.fingerprint == fingerprint:
            return f"{name}'s key {fingerprint} was revoked" if key.revoked_at else None
    return f"{fingerprint} is not a key of {name}"


def decisive(approvals: Sequence[Approval], revision: int) -> Iterator[tuple[Approval, Approval | None]]:
    """Of each person, the latest signed decision about this revision, or None; and the latest of all, before it about an
    earlier revision where there is none about this. In the order in which people first spoke; `approvals` are in order of time.
    """
    by_person: dict[str, list[Approval]] = {}
    for each in approvals:
        by_person.setdefault(each.person.casefold(), []).append(each)
    for said in by_person.values():
        about_this = [each for each in said if each.revision == revision]
        signed = [each for each in about_this if each.signature is not None]
        yield (about_this or said)[-1], (signed[-1] if signed else None)


def check_comment(text: str) -> str:
    """On one line, without what cannot be shown. Raises BadInput when it is too long."""
    if len(text) > MOST_OF_A_COMMENT:
        raise BadInput(
            274, f"The comment has {len(text)} characters; {MOST_OF_A_COMMENT} are kept.", "say it in fewer"
        )
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _strings(packed: bytes) -> Iterator[bytes]:
    """The fields of the SSH wire format: each its length, then its bytes. Raises ValueError when it is cut."""
    while packed:
        size = int.from_bytes(packed[:4], "big")
        if len(packed) < 4 + size:
            raise ValueError(size)
        yield packed[4 : 4 + size]
        packed = packed[4 + size :]
