"""A release is asked for, moved, held, cancelled. What it carries is pinned when it is created."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import cast, get_args

from branchline.domain.calendar import in_words, read_moment
from branchline.domain.environment import Environment, short_digest
from branchline.domain.names import shown
from branchline.domain.release import Late, NewRelease, Release
from branchline.domain.units import parse_duration
from branchline.errors import BadInput, Failed, Refused
from branchline.platform import Platform
from branchline.steps.preflight import healthy_source
from branchline.steps.preview import Preview
from branchline.steps.promote import Promoted, TargetTier, promotion_pair

WINDOW = "15m"
"""How long after it is due a release may still start, where nobody says."""
SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(minutes=1), timedelta(days=31)
LATE: Late = "ask"
"""What becomes of one that could not start until then, where nobody says."""
_HEX = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class Asked:
    """In people's words: `at` is a local time, with or without its zone; `artifact` the beginning of a digest, or None
    for what runs on the source now; `window` a duration.
    """

    project: str
    tier: TargetTier
    at: str
    zone: str | None = None
    artifact: str | None = None
    source: str | None = None
    window: str = WINDOW
    late: str = LATE


def create_release(platform: Platform, asked: Asked, author: str) -> Release:
    """Pinned and scheduled. Raises BadInput or Refused, with nothing changed."""
    new = _new(platform, asked, author)
    needed = approvals_needed(platform, platform.store.environments.by_id(new.environment_id))
    return platform.store.releases.create(new, platform.clock(), approvals=needed)


def preview_release(platform: Platform, asked: Asked, author: str) -> Preview:
    """What would be created. Raises as `create_release` does."""
    new = _new(platform, asked, author)
    environments = platform.store.environments
    assert new.source_id is not None
    source, target = environments.by_id(new.source_id), environments.by_id(new.environment_id)
    return Preview(
        f"Release from {source.path} to {target.path} at {in_words(new.due_at, new.zone)}",
        [
            ("artifact", f"{short_digest(new.digest or '')} of commit {(new.commit or '')[:12]}"),
            ("due", f"{in_words(new.due_at, new.zone)} ({new.due_at:%Y-%m-%d %H:%M} UTC)"),
            ("latest start", in_words(new.latest_start_at, new.zone)),
            ("when late", LATE_IN_WORDS[new.late]),
            ("approvals needed", str(approvals_needed(platform, target))),
        ],
    )


def move_release(
    platform: Platform,
    release: Release,
    at: str,
    *,
    zone: str | None = None,
    window: str | None = None,
    late: str | None = None,
) -> Release:
    """To another time: approvals given before are void. Its window stays as long as it was, unless another is given."""
    due_at, zone = read_moment(at, platform.clock(), zone or release.zone)
    length = _window(window) if window else release.latest_start_at - release.due_at
    environment = _target(platform, release)
    return platform.store.releases.change(
        release.id,
        due_at=due_at,
        zone=zone,
        latest_start_at=due_at + length,
        late=_late(late) if late else None,
        now=platform.clock(),
        approvals=approvals_needed(platform, environment) if release.kind == "promotion" else 0,
    )


def hold_release(platform: Platform, release: Release, by: str, reason: str) -> Release:
    return platform.store.releases.hold(release.id, by, _reason(reason), platform.clock())


def resume_release(platform: Platform, release: Release, by: str) -> Release:
    return platform.store.releases.resume(release.id, by, platform.clock())


def cancel_release(platform: Platform, release: Release, by: str, reason: str) -> Release:
    return platform.store.releases.cancel(release.id, by, _reason(reason), platform.clock())


def approvals_needed(platform: Platform, target: Environment) -> int:
    """How many people must agree to a promotion there."""
    return platform.plan(target.project).rules(target.tier).approvals.count


LATE_IN_WORDS = {
    "run": "it runs all the same, as soon as it can",
    "skip": "it is skipped",
    "ask": "a person decides",
}


def _new(platform: Platform, asked: Asked, author: str) -> NewRelease:
    if asked.tier not in get_args(TargetTier):
        raise BadInput(242, f"Nothing is released to {shown(asked.tier)}.", "staging or production")
    late, window = _late(asked.late), _window(asked.window)
    due_at, zone = read_moment(asked.at, platform.clock(), asked.zone)
    source, target = promotion_pair(platform, asked.project, asked.tier, asked.source)
    pinned = pin(platform, source, asked.artifact)
    return NewRelease(
        kind="promotion",
        environment_id=target.id,
        source_id=source.id,
        digest=pinned.digest,
        commit=pinned.commit,
        due_at=due_at,
        zone=zone,
        latest_start_at=due_at + window,
        late=late,
        author=author,
    )


def pin(platform: Platform, source: Environment, artifact: str | None) -> Promoted:
    """What runs on the source now, or an artifact that ran there, by the beginning of its digest. It is read in whole.

    Raises BadInput when it is not known, Refused when it never ran there, or is gone or damaged.
    """
    if artifact is None:
        running, against = healthy_source(platform, source)
        if running is None or against:
            raise Refused(
                245,
                f"What runs on {source.path} cannot be released: {'; '.join(against)}.",
                f"branchline deploy {source.path}, or name one that ran there: --artifact DIGEST",
            )
        pinned = Promoted(running.commit, running.digest)
    else:
        pinned = _ran_there(platform, source, _digest(platform, artifact))
    try:
        platform.artifacts.verify(pinned.digest)
    except Failed as error:
        raise Refused(
            247,
            f"Artifact {short_digest(pinned.digest)} cannot be released: {error.message}",
            error.hint,
        ) from None
    return pinned


def _digest(platform: Platform, prefix: str) -> str:
    wanted = prefix.strip().lower().removeprefix("sha256:")
    known = [each.digest for each in platform.store.artifacts.all()]
    found = [each for each in known if each.removeprefix("sha256:").startswith(wanted)]
    if not _HEX.fullmatch(wanted) or len(found) != 1:
        problem = (
            "More than one artifact begins with" if wanted and len(found) > 1 else "There is no artifact"
        )
        raise BadInput(
            244,
            f"{problem} {shown(prefix)}.",
            "branchline activity list shows what was deployed, branchline activity show its artifact",
        )
    return found[0]


def _ran_there(platform: Platform, source: Environment, digest: str) -> Promoted:
    for deployment in platform.store.deployments.of(source):
        if deployment.digest == digest:
            return Promoted(deployment.commit, digest)
    raise Refused(
        246,
        f"Artifact {short_digest(digest)} never ran on {source.path}, and only what ran there is released.",
        f"branchline promote {source.tier} {source.project.name}"
        if source.tier != "integration"
        else f"branchline deploy {source.path}",
    )


def _window(text: str) -> timedelta:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise BadInput(243, f"The window {shown(text)} {error}.", "--window 15m") from None
    window = timedelta(seconds=min(seconds, 2 * LONGEST_WINDOW.total_seconds()))
    if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise BadInput(
            243,
            f"The window {shown(text)} is not between a minute and {LONGEST_WINDOW.days} days.",
            "--window 15m",
        )
    return window


def _late(text: str) -> Late:
    if text not in get_args(Late):
        raise BadInput(248, f"There is no policy {shown(text)} for a late release.", "run, skip or ask")
    return cast("Late", text)


def _reason(text: str) -> str:
    if not text.strip():
        raise BadInput(249, "A reason is needed, and none was given.", '--reason "why"')
    return text.strip()


def _target(platform: Platform, release: Release) -> Environment:
    project, _, name = release.environment.partition("/")
    return platform.store.environments.get(project, name)
