"""What can be chosen now in each field of a flow's form, so that a person picks what makes sense instead of typing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from branchline.domain.calendar import in_words
from branchline.domain.environment import Environment, Tier, short_digest
from branchline.domain.names import environment_id
from branchline.domain.plan import TIERS, Plan
from branchline.domain.release import OPEN, Kind, Release
from branchline.platform import Platform

MOST_EXPLAINED = 10
"""Releases that a field describes in words."""

NO_PROJECT = "Nothing to choose yet: branchline init NAME --from REPOSITORY makes a project."


@dataclass(frozen=True, slots=True)
class Choice:
    """The values of one field; `says` is what to know of them, or what to do when there are none."""

    values: tuple[str, ...]
    says: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields with choices; `without` are those that a choice makes superfluous."""

    choices: Mapping[str, Choice]
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentNow:
    """An environment, and whether it has run something before what it runs."""

    environment: Environment
    goes_back: bool = False

    @property
    def runs(self) -> bool:
        return self.environment.status == "active" and self.environment.deployment_id is not None


@dataclass(frozen=True, slots=True)
class ProjectNow:
    """A project, its environments, and the branches of its repository."""

    name: str
    plan: Plan
    environments: Sequence[EnvironmentNow] = ()
    branches: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Now:
    """All that choices are made from."""

    projects: Sequence[ProjectNow] = ()
    releases: Sequence[Release] = field(default=())
    """Those that are open."""


def now(platform: Platform) -> Now:
    """As the state database and the repositories have it."""
    store = platform.store
    return Now(
        tuple(
            ProjectNow(
                project.name,
                platform.plan(project),
                tuple(_environment(platform, each) for each in store.environments.of(project)),
                tuple(platform.repository(project.name).branches()),
            )
            for project in store.environments.projects()
        ),
        tuple(store.releases.list(states=OPEN)),
    )


def forms(now: Now) -> Mapping[str, Form]:
    """By the name of the flow's file in flows/."""
    projects = Choice(*_or(_projects(now), NO_PROJECT))
    return {
        "build_artifact": Form({"project": projects}),
        "deploy_environment": Form({"environment": Choice(*_or(_deployable(now), NO_PROJECT))}),
        "roll_back_environment": Form(
            {
                "environment": Choice(
                    *_or(_going_back(now), "Nothing to choose yet: no environment has run two deployments.")
                )
            }
        ),
        "promote_to_staging": _promotion(now, "staging"),
        "promote_to_production": _promotion(now, "production"),
        "sync_data": Form(
            {
                "environment": Choice(
                    *_or(
                        _syncable(now),
                        "Nothing to choose yet: deploy an environment, and one of a higher tier of its project.",
                    )
                ),
                "source": Choice(_sources(now)),
            }
        ),
        "deactivate_environment": Form(
            {"environment": Choice(*_or(_active(now), "Nothing to choose: no environment is active."))}
        ),
        "create_release": _release(now),
        "approve_release": Form({"release": _releases(now, "promotion")}),
        "run_release": Form(
            {
                "environment": Choice(tuple(dict.fromkeys(each.environment for each in now.releases))),
                "release": _releases(now, "promotion", "sync"),
            }
        ),
    }


def _environment(platform: Platform, environment: Environment) -> EnvironmentNow:
    running = environment.deployment_id
    before = platform.store.deployments.get(running).previous_id if running else None
    return EnvironmentNow(environment, goes_back=before is not None)


def _or(values: Iterator[str], nothing: str) -> tuple[tuple[str, ...], str]:
    found = tuple(dict.fromkeys(values))
    return found, "" if found else nothing


def _all(now: Now) -> Iterator[EnvironmentNow]:
    return (each for project in now.projects for each in project.environments)


def _projects(now: Now) -> Iterator[str]:
    return (project.name for project in now.projects if project.branches)


def _deployable(now: Now) -> Iterator[str]:
    """What runs, what could, and branches that have no environment yet."""
    for project in now.projects:
        known = {each.environment.branch for each in project.environments}
        for each in project.environments:
            if each.runs or each.environment.branch in project.branches:
                yield each.environment.path
        for branch in sorted(set(project.branches) - known):
            yield f"{project.name}/{environment_id(branch)}"


def _going_back(now: Now) -> Iterator[str]:
    return (each.environment.path for each in _all(now) if each.runs and each.goes_back)


def _active(now: Now) -> Iterator[str]:
    return (each.environment.path for each in _all(now) if each.environment.status != "inactive")


def _promotion(now: Now, target: Tier) -> Form:
    values = (each for project in now.projects for each in _promotable(project, target))
    nothing = f"Nothing to choose yet: deploy to the environment that is promoted to {target.title()}."
    return Form({"project": Choice(*_or(values, nothing))}, without=("source",))


def _release(now: Now) -> Form:
    tiers: tuple[Tier, ...] = ("staging", "production")
    values = (each for project in now.projects for tier in tiers for each in _promotable(project, tier))
    nothing = "Nothing to choose yet: a release needs an environment that runs something, to promote it from."
    return Form({"project": Choice(*_or(values, nothing))}, without=("source",))


def _promotable(project: ProjectNow, target: Tier) -> Iterator[str]:
    """The project, where its plan says what is promoted; else each environment that could be."""
    tiers = project.plan.tiers
    source = tiers[target].promoted_from if target in tiers else None
    if source is None:
        return
    branch = tiers[source].branch
    for each in project.environments:
        if each.runs and each.environment.tier == source and branch in (None, each.environment.branch):
            yield project.name if branch else each.environment.path


def _syncable(now: Now) -> Iterator[str]:
    """Data go down only: never to Production, and never without a source above."""
    for project in now.projects:
        running = [each.environment for each in project.environments if each.runs]
        for each in running:
            if any(TIERS.index(other.tier) > TIERS.index(each.tier) for other in running):
                yield each.path


def _sources(now: Now) -> tuple[str, ...]:
    return tuple(
        sorted(
            {
                each.environment.name
                for each in _all(now)
                if each.runs and each.environment.tier != "integration"
            }
        )
    )


def _releases(now: Now, *kinds: Kind) -> Choice:
    found = [each for each in now.releases if each.kind in kinds]
    if not found:
        return Choice((), "Nothing to choose: no release is open. The flow create-release makes one.")
    explained = "; ".join(_in_words(each) for each in found[:MOST_EXPLAINED])
    more = len(found) - MOST_EXPLAINED
    says = f"{explained}; and {more} more" if more > 0 else explained
    return Choice(tuple(each.id for each in found), f"{says}.")


def _in_words(release: Release) -> str:
    carries = f", artifact {short_digest(release.digest)}" if release.digest else ""
    return f"{release.id}: {release.what}{carries}, {in_words(release.due_at, release.zone)}"
