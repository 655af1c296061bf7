"""What is done without being asked: ending what was cut short, and once a day removing what nothing refers to.

Removing fails closed: what cannot be told to be useless stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from branchline.domain.activity import Want
from branchline.domain.environment import Environment, short_digest
from branchline.domain.retention import kept
from branchline.errors import Unavailable
from branchline.operation import Request
from branchline.platform import Platform
from branchline.steps.agree import agree_everywhere
from branchline.steps.summary import in_text
from branchline.steps.switch import not_needed, prune

ACTOR = "branchline"
"""Who removes what is not needed, in the activity that says so."""
PRUNES_EVERY = timedelta(days=1)
ANNOUNCEMENTS_KEPT = timedelta(days=7)
PUSHES_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did. `runs` are Prefect's, each with what became of it; `activities` those that were ended."""

    runs: Sequence[str] = ()
    activities: Sequence[str] = ()
    removed: Sequence[str] = ()


def in_words(swept: Swept) -> str:
    """In one line."""
    counts = {
        "runs closed": len(swept.runs),
        "activities ended": len(swept.activities),
        "removed": len(swept.removed),
    }
    return (
        ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing was left behind"
    )


def as_markdown(swept: Swept) -> str:
    """For people, in a Prefect run."""
    parts = {"Prefect runs": swept.runs, "Activities": swept.activities, "Removed": swept.removed}
    lists = [
        "\n".join([f"**{title}**", "", *(f"* {in_text(each)}" for each in found)])
        for title, found in parts.items()
        if found
    ]
    return "\n\n".join(lists) or "Nothing was left behind."


def end_left_behind(platform: Platform) -> Sequence[str]:
    """Ends what dead processes of this host left behind; then the host agrees with every environment's row.

    Gives the ids of the activities that were ended.
    """
    ended = [activity.id for activity in platform.operations.recover()]
    agree_everywhere(platform)
    return ended


def prune_when_due(platform: Platform) -> Sequence[str]:
    """Once a day, by one process of this host."""
    this, now = platform.operations.processes.this(), platform.clock()
    name = f"prune {this.host}"
    last = platform.store.running.last(name)
    if last is not None and now - last.at < PRUNES_EVERY:
        return ()
    if not platform.store.running.take(name, this, now, {}, instead_of=last):
        return ()
    return prune_all(platform)


def prune_all(platform: Platform) -> Sequence[str]:
    """Removes what nothing refers to any more; gives it in words."""
    store, now = platform.store, platform.clock()
    told = {
        "announcements": store.announcements.forget(now - ANNOUNCEMENTS_KEPT),
        "pushes": store.retention.forget_pushes(now - PUSHES_KEPT),
        "logs": _forget_logs(platform, now - timedelta(seconds=platform.settings.log_retention)),
        "half-made files": len(platform.artifacts.sweep()) + len(platform.trees.sweep()),
    }
    return [
        *_prune_environments(platform),
        *_prune_artifacts(platform),
        *(f"{count} old {what}" for what, count in told.items() if count),
    ]


def _prune_environments(platform: Platform) -> Iterator[str]:
    """Data versions and release directories whose time is over; an environment that is busy does it itself."""
    for environment in _environments(platform):
        if not any(not_needed(platform, environment)):
            continue
        request = Request(
            kind="prune",
            project=environment.project.name,
            environment=environment.name,
            wants=[Want(environment.resource)],
            sentence=f"remove what {environment.path} does not need any more",
            parameters={},
            actor=ACTOR,
        )
        try:
            with platform.operations.run(request) as operation, operation.step("prune") as step:
                versions, releases = not_needed(platform, environment)
                step.detail = f"{len(versions)} data versions, {len(releases)} releases"
                prune(platform, operation, environment)
        except Unavailable:
            continue
        yield f"{environment.path}: {step.detail}"


def _prune_artifacts(platform: Platform) -> Iterator[str]:
    """Artifacts and their trees that no kept deployment or open release refers to, some time after their last use."""
    since = platform.clock() - timedelta(seconds=platform.settings.artifact_retention)
    stored, at_hand = set(platform.artifacts.digests()), set(platform.trees.digests())
    for digest in sorted((stored | at_hand) - _kept_digests(platform)):
        with platform.store.retention.idle() as idle:
            if idle is None:
                return
            if idle.refers_to(digest, since):
                continue
            platform.artifacts.remove(digest)
            platform.trees.remove(digest)
        yield f"artifact {short_digest(digest)}"


def _kept_digests(platform: Platform) -> set[str]:
    return {
        deployment.digest
        for environment in _environments(platform)
        for deployment in kept(
            platform.store.deployments.of(environment),
            environment.deployment_id,
            platform.plan(environment.project).kept_deployments,
        )
    }


def _forget_logs(platform: Platform, before: datetime) -> int:
    open_ones = {platform.layout.log(activity.id) for activity in platform.store.activities.unended()}
    old = [
        path
        for path in platform.layout.logs.glob("*.log")
        if path not in open_ones and datetime.fromtimestamp(path.stat().st_mtime, UTC) < before
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _environments(platform: Platform) -> Sequence[Environment]:
    environments = platform.store.environments
    return [each for project in environments.projects() for each in environments.of(project)]
