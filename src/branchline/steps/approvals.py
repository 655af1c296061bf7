"""People say yes or no to a release. A signature is verified when it is given, and again whenever it is asked what it is worth."""

from __future__ import annotations

from dataclasses import replace

from branchline.domain import calendar
from branchline.domain.approval import (
    GivenApproval,
    check_comment,
    check_seal,
    decisive,
    key_problem,
    read_signature,
)
from branchline.domain.names import shown
from branchline.domain.person import check_person
from branchline.domain.plan import Approvals
from branchline.domain.release import OPEN, Approval, Decision, Release, statement
from branchline.errors import BadInput, Refused
from branchline.platform import Platform
from branchline.steps.summary import in_text

EARLIER = "it was given before the release was changed"
UNSIGNED = "it is not signed"
ALTERED = "its signature is not over the release as it is"


def approve(
    platform: Platform,
    release_id: str,
    decision: str,
    person: str,
    comment: str,
    signature: str | None,
    actor: str,
) -> Approval:
    """Writes down what a person said about a release as it is now.

    Raises BadInput or Refused, with nothing written, when it could not count: it is not signed where the tier asks for
    that, or its signature is not by a key of that person over this release and decision.
    """
    chosen = _decision(decision)
    name, said = check_person(person), check_comment(comment)
    release = platform.store.releases.get(release_id)
    if release.state not in OPEN:
        raise Refused(
            272,
            f"Release {release.id} is {release.state}: nothing can be said about it any more.",
            f"branchline release show {release.id}",
        )
    registered = platform.store.people.find(name)
    approval = Approval(
        release_id=release.id,
        revision=release.revision,
        decision=chosen,
        person=registered.name if registered else name,
        comment=said,
        signature=None,
        fingerprint=None,
        actor=actor,
        created_at=platform.clock(),
    )
    if (signature or "").strip():
        approval = _signed(platform, release, approval, signature or "")
    else:
        _refuse_unless_a_claim_will_do(platform, release, approval)
    platform.store.approvals.add(approval, release)
    return approval


def given(platform: Platform, release: Release) -> tuple[GivenApproval, ...]:
    """The decision of each person about the release as it is now, and what is against it.

    The latest counts; what was signed is only taken back by a signature.
    """
    found = []
    for latest, signed in decisive(platform.store.approvals.of(release.id), release.revision):
        if signed is not None and (worth := _worth(platform, release, signed)).problem is None:
            found.append(worth)
        else:
            found.append(_worth(platform, release, latest))
    return tuple(found)


def in_words(platform: Platform, approval: Approval) -> str:
    """In one line: what was said, and what it is worth."""
    release = platform.store.releases.get(approval.release_id)
    became = "approved" if approval.decision == "approve" else "rejected"
    how = f"signed with {approval.fingerprint}" if approval.signature else "without a signature"
    return f"{approval.person} {became} release {release.id}: {release.what}, {how}"


def as_markdown(platform: Platform, approval: Approval) -> str:
    """For the Prefect UI: what was said, and by whom else."""
    release = platform.store.releases.get(approval.release_id)
    lines = [
        f"# {in_text(in_words(platform, approval))}",
        "",
        *([in_text(approval.comment), ""] if approval.comment else []),
        "| | |",
        "|---|---|",
        f"| artifact | {in_text(release.digest or '-')} |",
        f"| due | {in_text(calendar.in_words(release.due_at, release.zone))} |",
        f"| sent by | {in_text(approval.actor)} |",
        f"| next | branchline release show {release.id} |",
        "",
        "| person | said | signed | does it count? |",
        "|---|---|---|---|",
        *(
            f"| {in_text(each.person)} | {each.decision} | {each.fingerprint or 'no'} | {in_text(each.problem or 'yes')} |"
            for each in given(platform, release)
        ),
    ]
    return "\n".join(lines) + "\n"


def _signed(platform: Platform, release: Release, approval: Approval, signature: str) -> Approval:
    seal = read_signature(signature)
    person = platform.store.people.find(approval.person)
    check_seal(seal, person, approval.person)
    keys = [each.public_key for each in person.valid_keys] if person else []
    if not platform.signatures.verify(statement(release, approval.decision), seal.armoured, keys):
        raise Refused(
            268,
            f"The signature is not over {approval.decision} of release {release.id} as it is now (revision {release.revision}).",
            f"sign what branchline release statement {release.id} prints; the release may have been changed since",
        )
    return replace(approval, signature=seal.armoured, fingerprint=seal.fingerprint)


def _refuse_unless_a_claim_will_do(platform: Platform, release: Release, approval: Approval) -> None:
    if _rules(platform, release).signed:
        raise Refused(
            271,
            f"What is said about a release to {release.environment} must be signed: a name alone proves nothing.",
            f"branchline release approve {release.id} --as {approval.person} --key FILE",
        )
    if any(
        each.signed and each.problem is None and each.person.casefold() == approval.person.casefold()
        for each in given(platform, release)
    ):
        raise Refused(
            273,
            f"{approval.person} has signed what was said about release {release.id}; a name alone does not take that back.",
            f"branchline release approve {release.id} --as {approval.person} --key FILE",
        )


def _worth(platform: Platform, release: Release, approval: Approval) -> GivenApproval:
    return GivenApproval(
        person=approval.person,
        decision=approval.decision,
        signed=approval.signature is not None,
        fingerprint=approval.fingerprint,
        comment=approval.comment,
        problem=_problem(platform, release, approval),
    )


def _problem(platform: Platform, release: Release, approval: Approval) -> str | None:
    if approval.revision != release.revision:
        return EARLIER
    if approval.signature is None:
        return UNSIGNED if _rules(platform, release).signed else None
    person = platform.store.people.find(approval.person)
    if problem := key_problem(approval.fingerprint or "", person, approval.person):
        return problem
    keys = [each.public_key for each in person.valid_keys] if person else []
    text = statement(release, approval.decision)
    return None if platform.signatures.verify(text, approval.signature, keys) else ALTERED


def _rules(platform: Platform, release: Release) -> Approvals:
    project, _, name = release.environment.partition("/")
    environment = platform.store.environments.get(project, name)
    return platform.plan(environment.project).rules(environment.tier).approvals


def _decision(text: str) -> Decision:
    if text == "approve":
        return "approve"
    if text == "reject":
        return "reject"
    raise BadInput(276, f"A decision is approve or reject, not {shown(text)}.", "say one of them")
