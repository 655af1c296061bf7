"""What people said about releases. A row is never changed; a later one of the same person counts instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import select

from branchline.domain.announcement import News
from branchline.domain.release import OPEN, Approval, Decision, Release
from branchline.errors import Refused
from branchline.state import tables
from branchline.state.announcements import announce
from branchline.state.database import StateDatabase


class Approvals:
    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    def add(self, approval: Approval, release: Release) -> None:
        """What was said about a release as it was seen. Raises Refused when it has ended or changed since."""
        with self._database.write() as session:
            row = session.scalars(
                select(tables.Release).where(tables.Release.id == approval.release_id)
            ).one()
            if row.state not in OPEN or row.revision != approval.revision:
                what = "was changed just now" if row.state in OPEN else f"is {row.state}"
                raise Refused(
                    272,
                    f"Release {row.id} {what}: nothing can be said about it as it was.",
                    f"branchline release show {row.id}",
                )
            session.add(
                tables.Approval(
                    release_id=approval.release_id,
                    revision=approval.revision,
                    decision=approval.decision,
                    person=approval.person,
                    comment=approval.comment,
                    signature=approval.signature,
                    fingerprint=approval.fingerprint,
                    actor=approval.actor,
                    created_at=approval.created_at,
                )
            )
            became = "approved" if approval.decision == "approve" else "rejected"
            payload = {
                "release": release.id,
                "revision": release.revision,
                "sentence": f"release {release.id}: {release.what}, {became} by {approval.person}",
                "actor": approval.actor,
                "person": approval.person,
                "signed": approval.signature is not None,
                "reason": approval.comment or None,
            }
            announce(
                session,
                News(f"branchline.release.{became}", release.environment, payload),
                approval.created_at,
            )

    def of(self, release_id: str) -> Sequence[Approval]:
        """In order of time, about all its revisions."""
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.Approval)
                .where(tables.Approval.release_id == release_id)
                .order_by(tables.Approval.id)
            )
            return tuple(_approval(row) for row in rows)


def _approval(row: tables.Approval) -> Approval:
    return Approval(
        release_id=row.release_id,
        revision=row.revision,
        decision=cast("Decision", row.decision),
        person=row.person,
        comment=row.comment,
        signature=row.signature,
        fingerprint=row.fingerprint,
        actor=row.actor,
        created_at=row.created_at,
    )
