"""How an operation ended, and why one cannot begin, in words."""

from __future__ import annotations

from branchline.domain.activity import Activity, Lease, Result
from branchline.errors import BranchlineError, Failed, Refused, Unavailable

CUT_SHORT = "nothing changed: its process ended before the switch; what it had made was removed"


class Interrupted(Exception):  # noqa: N818 - never raised: it stands for an end that nobody could report
    """The process ended without a word."""


def outcome_of(
    activity: Activity, skipped: str | None, error: BaseException | None
) -> tuple[Result, str | None]:
    """The result and its reason. Behind the commit point an operation has succeeded, whatever came after it."""
    if skipped is not None and error is None:
        return "skipped", skipped
    if activity.committed_at is not None or error is None:
        return "success", None
    if isinstance(error, Interrupted):
        return "failure", CUT_SHORT
    return ("refused" if isinstance(error, Refused) else "failure"), f"nothing changed: {reason_of(error)}"


def reason_of(error: BaseException) -> str:
    """Why, without the hint: the journal's readers are not about to type a command."""
    if isinstance(error, BranchlineError):
        return f"{error.message} [B{error.number}]"
    if not isinstance(error, Exception):
        return f"cancelled ({type(error).__name__})"
    return f"{type(error).__name__}: {error}"


def busy(lease: Lease, activity: Activity, *, out_of_reach: bool) -> Unavailable:
    """Who is in the way. `out_of_reach`: the holder has stopped renewing, and its host cannot be asked from here."""
    since = lease.taken_at.strftime("%H:%M:%S UTC")
    what = f"{lease.resource.partition(':')[2]} is busy: {activity.kind} by {activity.actor} since {since}"
    host = lease.holder.host
    if out_of_reach:
        return Unavailable(
            314,
            f"{what}, on host {host}, which has stopped renewing its lease and cannot be asked from here.",
            f"run `branchline recover` on {host}, or `branchline unlock` when that host is gone for good",
        )
    return Unavailable(
        313,
        f"{what} (activity {activity.id}, process {lease.holder.pid} on {host}).",
        f"wait for it with --wait, or watch it: branchline activity log {activity.id}",
    )


def not_ended(activity_id: str, error: BaseException | None, failure: Exception) -> Failed:
    """Its end failed too: `failure`. What it was ended for, if anything is known of that, is told as well."""
    known = error is not None and not isinstance(error, Interrupted)
    because = f" It was ended because: {reason_of(error)}" if known and error is not None else ""
    return Failed(
        316,
        f"Activity {activity_id} could not be ended: {reason_of(failure)}{because}",
        "branchline recover, when the reason is gone; until then nothing else changes its environment",
    )
