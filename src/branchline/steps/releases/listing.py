"""Releases as people see them: times in the release's own zone, who holds it, what its gates say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from branchline.domain.approval import GivenApproval
from branchline.domain.calendar import in_words
from branchline.domain.environment import short_digest
from branchline.domain.gates import Verdict
from branchline.domain.plan import Approvals
from branchline.domain.release import OPEN, Release
from branchline.errors import BranchlineError
from branchline.platform import Platform
from branchline.steps import approvals
from branchline.steps.promote import environment_at
from branchline.steps.releases.creating import LATE_IN_WORDS, approvals_needed
from branchline.steps.releases.waiting import verdicts_now
from branchline.steps.summary import in_text


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """`due` and `latest_start` are in words; `gates` and `against` are asked only when one release is shown."""

    id: str
    what: str
    state: str
    due: str
    latest_start: str
    kind: str
    environment: str
    source: str | None
    artifact: str | None
    commit: str | None
    due_at: datetime
    zone: str
    latest_start_at: datetime
    late: str
    revision: int
    reason: str | None
    author: str
    held_by: str | None
    held_reason: str | None
    approvals_given: int
    approvals_needed: int
    timetable: str | None
    activity: str | None
    created_at: datetime
    ended_at: datetime | None
    gates: Sequence[Verdict] = ()
    against: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        return f"release {self.id}: {self.what}"

    @property
    def approvals(self) -> str:
        """Given and needed."""
        return f"{self.approvals_given}/{self.approvals_needed}" if self.approvals_needed else "none needed"

    @property
    def held(self) -> str | None:
        return f"by {self.held_by}: {self.held_reason}" if self.held_by else None


def release_view(platform: Platform, release: Release) -> ReleaseView:
    target = environment_at(platform, release.environment)
    needed = approvals_needed(platform, target) if release.kind == "promotion" else 0
    rules = platform.plan(target.project).rules(target.tier).approvals
    given = [each for each in approvals.given(platform, release) if counts(each, rules, release)]
    return ReleaseView(
        id=release.id,
        what=release.what,
        state=release.state,
        due=in_words(release.due_at, release.zone),
        latest_start=in_words(release.latest_start_at, release.zone),
        kind=release.kind,
        environment=release.environment,
        source=release.source,
        artifact=release.digest,
        commit=release.commit,
        due_at=release.due_at,
        zone=release.zone,
        latest_start_at=release.latest_start_at,
        late=release.late,
        revision=release.revision,
        reason=release.reason,
        author=release.author,
        held_by=release.held_by,
        held_reason=release.held_reason,
        approvals_given=len(given),
        approvals_needed=needed,
        timetable=release.timetable_id,
        activity=release.activity_id,
        created_at=release.created_at,
        ended_at=release.ended_at,
    )


def counts(given: GivenApproval, rules: Approvals, release: Release) -> bool:
    """Whether it is one of those that are needed."""
    own = rules.separation and given.person == release.author
    return given.problem is None and given.decision == "approve" and not own


def release_in_whole(platform: Platform, release: Release) -> ReleaseView:
    """With what its gates say now, while it can still be run."""
    view = release_view(platform, release)
    if release.state not in OPEN:
        return view
    try:
        gates, against = verdicts_now(platform, release)
    except BranchlineError as error:
        return replace(view, against=(error.message,))
    return replace(view, gates=gates, against=against)


def facts_of(view: ReleaseView) -> list[tuple[str, str]]:
    """Labels and values, in order."""
    return [
        ("state", view.state),
        *([("why", view.reason)] if view.reason else []),
        *([("held", view.held)] if view.held else []),
        ("due", f"{view.due} ({view.due_at:%Y-%m-%d %H:%M} UTC, {view.zone})"),
        ("latest start", view.latest_start),
        ("when late", LATE_IN_WORDS[view.late]),
        *([("artifact", short_digest(view.artifact))] if view.artifact else []),
        *([("commit", view.commit[:12])] if view.commit else []),
        ("approvals", view.approvals),
        ("asked for by", f"{view.author}, revision {view.revision}"),
        *([("train", view.timetable)] if view.timetable else []),
        *(
            [("activity", f"{view.activity}: branchline activity show {view.activity}")]
            if view.activity
            else []
        ),
    ]


def as_markdown(view: ReleaseView) -> str:
    """For the Prefect UI."""
    lines = [f"# {in_text(view.sentence)}", "", "| | |", "|---|---|"]
    lines += [f"| {in_text(label)} | {in_text(value)} |" for label, value in facts_of(view)]
    if view.gates:
        lines += ["", "| gate | now | |", "|---|---|---|"]
        lines += [f"| {each.gate} | {each.state} | {in_text(each.reason)} |" for each in view.gates]
    lines += ["", *(f"- against it: {in_text(each)}" for each in view.against)]
    return "\n".join(lines) + "\n"
