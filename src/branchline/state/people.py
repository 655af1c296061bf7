"""People and their public keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from branchline.domain.person import Key, Person
from branchline.errors import BadInput, Refused
from branchline.state import tables
from branchline.state.database import StateDatabase


class People:
    """Names differ in more than the case of their letters."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add_key(self, name: str, public_key: str, fingerprint: str, now: datetime) -> Person:
        """A key of a person, who is registered by the first one; content when it is theirs already.

        Raises Refused when it is somebody else's, or was revoked.
        """
        with self._database.write() as session:
            known = session.scalar(select(tables.PersonKey).where(tables.PersonKey.public_key == public_key))
            person = _named(session, name)
            if known is None:
                if person is None:
                    person = tables.Person(name=name, created_at=now)
                    session.add(person)
                    session.flush()
                session.add(
                    tables.PersonKey(
                        person_id=person.id, public_key=public_key, fingerprint=fingerprint, created_at=now
                    )
                )
                session.flush()
                return _person(session, person)
            owner = session.get_one(tables.Person, known.person_id)
            if known.revoked_at is not None or person is not owner:
                why = "was revoked" if known.revoked_at else f"is a key of {owner.name} already"
                raise Refused(
                    263, f"The key {fingerprint} {why}.", "make another: ssh-keygen -t ed25519 -f FILE"
                )
            return _person(session, owner)

    def find(self, name: str) -> Person | None:
        """Whatever the case of its letters."""
        with self._database.read() as session:
            row = _named(session, name)
            return _person(session, row) if row else None

    def all(self) -> Sequence[Person]:
        """By name."""
        with self._database.read() as session:
            rows = session.scalars(select(tables.Person).order_by(func.lower(tables.Person.name))).all()
            return [_person(session, row) for row in rows]

    def revoke(self, name: str, fingerprint: str, now: datetime) -> Person:
        """It verifies nothing any more, and never will. Content when it was revoked. Raises BadInput where there is none."""
        with self._database.write() as session:
            person = _named(session, name)
            if person is None:
                known = ", ".join(session.scalars(select(tables.Person.name).order_by(tables.Person.name)))
                raise BadInput(
                    261,
                    f"There is no person {name!r}; there are: {known or 'none yet'}.",
                    "branchline person list",
                )
            key = session.scalar(
                select(tables.PersonKey)
                .where(tables.PersonKey.person_id == person.id)
                .where(tables.PersonKey.fingerprint == fingerprint)
            )
            if key is None:
                raise BadInput(
                    264,
                    f"{person.name} has no key {fingerprint[:80]!a}.",
                    "branchline person list shows the keys",
                )
            key.revoked_at = key.revoked_at or now
            session.flush()
            return _person(session, person)


def _named(session: Session, name: str) -> tables.Person | None:
    return session.scalar(select(tables.Person).where(func.lower(tables.Person.name) == name.lower()))


def _person(session: Session, row: tables.Person) -> Person:
    keys = session.scalars(
        select(tables.PersonKey).where(tables.PersonKey.person_id == row.id).order_by(tables.PersonKey.id)
    )
    return Person(
        row.name, tuple(Key(key.public_key, key.fingerprint, key.created_at, key.revoked_at) for key in keys)
    )
