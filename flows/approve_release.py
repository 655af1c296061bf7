from prefect import flow

from branchline.domain.release import Approval, Decision
from tasks.approve import approve
from tasks.runs import named, one_clear_error
from tasks.types import PersonName, Reason, ReleaseId, Signature


@flow(
    name="approve-release",
    flow_run_name=named("{decision} release {release} as {name}"),
    retries=0,
    validate_parameters=False,
)
@one_clear_error
def approve_release(
    release: ReleaseId,
    decision: Decision,
    name: PersonName,
    comment: Reason | None = None,
    signature: Signature | None = None,
) -> Approval:
    """Say yes or no to a release as it is now. When the release is changed, what was said before is void.

    Args:
        release: The release; branchline release show tells what it carries
        decision: approve, or reject: then it does not run
        name: Who says so. A name alone proves nothing, and counts only where the plan accepts that
        comment: Why; shown with the release
        signature: What ssh-keygen -Y sign -n branchline has made of the text that branchline release statement prints
    """
    return approve(release, decision, name, comment, signature)
