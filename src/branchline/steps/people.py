"""Who may sign, and by which keys. Only whoever works on this host adds people: no flow does."""

from __future__ import annotations

from branchline.domain.person import Person, check_person, read_public_key
from branchline.platform import Platform


def add_person(platform: Platform, name: str, key: str) -> Person:
    """Registers a public key for a person. Raises BadInput for what is no name or no key, Refused for somebody else's."""
    public_key = read_public_key(key)
    fingerprint = platform.signatures.fingerprint(public_key)
    return platform.store.people.add_key(check_person(name), public_key, fingerprint, platform.clock())


def revoke_key(platform: Platform, name: str, fingerprint: str) -> Person:
    """Approvals that were signed by it do not count any more. Raises BadInput where there is no such key."""
    return platform.store.people.revoke(name, fingerprint.strip(), platform.clock())
