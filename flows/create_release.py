from prefect import flow

from branchline.domain.release import Late
from branchline.steps.preview import Preview
from branchline.steps.promote import TargetTier
from branchline.steps.releases.creating import LATE, WINDOW, Asked
from branchline.steps.releases.listing import ReleaseView
from tasks.release import create_release as create
from tasks.release import preview_release
from tasks.runs import named, one_clear_error
from tasks.types import Digest, Duration, EnvironmentName, PromotedFrom, TimeZone, When


@flow(
    name="create-release",
    flow_run_name=named("release {project} to {tier} at {at}"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def create_release(
    project: PromotedFrom,
    tier: TargetTier,
    at: When,
    zone: TimeZone | None = None,
    artifact: Digest | None = None,
    source: EnvironmentName | None = None,
    window: Duration = WINDOW,
    late: Late = LATE,
    dry_run: bool = False,
) -> ReleaseView | Preview:
    """Pin an artifact that is to be promoted at a time. It runs then, when all its gates are open.

    Args:
        project: The project; or project/environment, where the plan leaves the choice
        tier: Where it goes: staging or production
        at: A local time, such as 2026-12-01 14:00 Europe/Berlin, or tomorrow 14:00
        zone: The time zone, when the time does not name it, such as Europe/Berlin
        artifact: The beginning of the digest of an artifact that ran on the source; without it, what runs there now
        source: The environment to take it from, where the plan leaves the choice
        window: How long after its time it may still start, such as 15m or 2h
        late: What becomes of it when it could not start until then: run, skip, or ask a person
        dry_run: Only say what would be created
    """
    project, _, named_source = project.partition("/")
    asked = Asked(project, tier, at, zone, artifact, named_source or source, window, late)
    return preview_release(asked) if dry_run else create(asked)
