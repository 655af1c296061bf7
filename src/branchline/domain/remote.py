"""Which branches of an outside repository are followed, and which are left as they are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from branchline.domain.push import RefUpdate

Tips = Mapping[str, str]
"""Commit id by branch."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of the branches that differed. `refused` are new: each commit is refused once."""

    moved: Sequence[RefUpdate] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    """Branches that are not followed now, and why."""


def differences(
    here: Tips, seen: Tips, there: Tips, contains: Callable[[str, str], bool]
) -> tuple[Sequence[RefUpdate], Mapping[str, str]]:
    """The updates that make `here` follow `there`; and the branches that cannot follow, each with its reason.

    `seen` is where the other repository had each branch when it was followed last: where that is what is here still,
    the branch goes wherever it went there, back too, as by a forced push. Commits that are only here are never lost.
    `contains(a, b)`: whether commit a contains commit b.
    """
    updates, conflicts = [], {}
    for branch, new in there.items():
        old, before = here.get(branch), seen.get(branch)
        if new in (old, before):
            continue
        if old is None or old == before or contains(new, old):
            updates.append(RefUpdate(f"refs/heads/{branch}", old, new))
        elif not contains(old, new):
            conflicts[branch] = f"has commits here that {new[:12]} lacks: merge them there"
    for branch, before in seen.items():
        if branch in there or branch not in here:
            continue
        if here[branch] == before:
            updates.append(RefUpdate(f"refs/heads/{branch}", before, None))
        else:
            conflicts[branch] = "was deleted there, and has commits of its own here"
    return updates, conflicts
