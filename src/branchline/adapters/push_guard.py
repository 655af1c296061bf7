"""What may be pushed into a project's bare repository: what its pre-receive hook runs, and the rules that it applies.

The hook needs no database: which branches only promotion moves is in a file of the repository that Branchline
writes. It sees a push before any ref has moved, with the new objects in quarantine, and takes all of it or nothing.
When it cannot run, or cannot tell, nothing is taken.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from branchline.adapters.git import GitRepository
from branchline.adapters.git_command import QUARANTINE, plain
from branchline.config import read_app
from branchline.domain.names import check_branch, check_ref, environment_id
from branchline.domain.push import SAID, RefUpdate, ref_updates
from branchline.errors import BranchlineError, Failed, Refused
from branchline.ports import ProtectedBranch

PROTECTED_FILE = "branchline-protected.json"

_FORMAT = 1
_APP_FILES = (".branchline/app.yaml", ".magento.app.yaml")


def protect(repository: Path, protected: Sequence[ProtectedBranch]) -> None:
    """Writes which branches of a repository only promotion moves, in place of what was written before."""
    content = {"format": _FORMAT, "branches": [asdict(branch) for branch in protected]}
    replace(repository / PROTECTED_FILE, json.dumps(content, indent=2) + "\n", 0o644)


def replace(path: Path, content: str, mode: int) -> None:
    """Writes a file that is whole whenever somebody reads it; one that is so already is left alone."""
    if path.exists() and path.read_text(errors="replace") == content and path.stat().st_mode & 0o777 == mode:
        return
    new = path.with_name(path.name + ".new")
    new.write_text(content)
    new.chmod(mode)
    new.replace(path)


def protected_branches(repository: Path) -> Mapping[str, ProtectedBranch]:
    """What `protect` wrote, by name. Raises Failed when it is missing or broken: then nothing may be pushed."""
    try:
        content = json.loads((repository / PROTECTED_FILE).read_text())
        if content["format"] != _FORMAT:
            raise _unreadable(repository, f"its format is {content['format']!r}")
        branches = [ProtectedBranch(**branch) for branch in content["branches"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(repository, str(error)) from error
    return {branch.name: branch for branch in branches}


def _unreadable(repository: Path, reason: str) -> Failed:
    return Failed(
        171,
        f"Which branches are protected cannot be read from {repository / PROTECTED_FILE}: {reason}.",
        "branchline init writes it again",
    )


def check_update(update: RefUpdate, protected: Mapping[str, ProtectedBranch], lost: int = 0) -> None:
    """The rules that need no look into the commit. `lost`: how many commits of the branch the push drops.

    Raises Refused, or BadInput for a name.
    """
    branch = update.branch
    if branch is not None and branch in protected:
        _check_protected(update, protected[branch], lost)
    if update.new is None:
        return
    if branch is None:
        if not update.ref.startswith("refs/tags/"):
            raise Refused(
                174,
                f"{plain(update.ref)} is neither a branch nor a tag.",
                "git push BRANCH, or git push --tags",
            )
        check_ref(update.ref.removeprefix("refs/tags/"))
        return
    check_branch(branch)
    for other in protected:
        if other != branch and environment_id(other) == environment_id(branch):
            raise Refused(175, f"{branch} would have the environment of {other}.", "choose another name")


def _check_protected(update: RefUpdate, branch: ProtectedBranch, lost: int) -> None:
    if update.old is None:
        if branch.may_be_created:
            return
        what = "is made by promotion only"
    elif update.new is None:
        what = "is never deleted by a push"
    elif lost:
        what = f"is moved by promotion only, and this push would drop {lost} of its commits"
    else:
        what = "is moved by promotion only"
    raise Refused(173, f"{branch.name} {what}.", branch.command)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why each ref of a push is refused, by ref; and what to know about those that are not."""

    refused: Mapping[str, BranchlineError]
    notes: Sequence[str]


def judge(
    updates: Sequence[RefUpdate], source: GitRepository, protected: Mapping[str, ProtectedBranch]
) -> Verdict:
    """Applies every rule to every ref of a push, so that all that is wrong is said at once.

    `source` sees the pushed objects. Beyond `check_update`, the tip of each branch must be a tree that can be built,
    with an app configuration that is valid, or with none.
    """
    refused: dict[str, BranchlineError] = {}
    notes: list[str] = []
    with source.kept_open() as kept:
        content = cache(lambda commit: _check_content(kept, commit))
        taken = _branches_by_environment(updates, kept)
        for update in updates:
            try:
                check_update(update, protected, _lost(update, kept, protected))
                if update.branch is not None and update.new is not None:
                    _check_environment(update, taken)
                    notes += [f"{update.branch}: {note}" for note in content(update.new)]
            except BranchlineError as error:
                refused[update.ref] = error
    return Verdict(refused, notes)


def _branches_by_environment(
    updates: Sequence[RefUpdate], source: GitRepository
) -> Mapping[str, Sequence[str]]:
    """As they are when the push is taken."""
    branches = source.branches().keys() | {each.branch for each in updates if each.branch and each.new}
    found = defaultdict(list)
    for branch in sorted(branches - {each.branch for each in updates if each.new is None}):
        found[environment_id(branch)].append(branch)
    return found


def _check_environment(update: RefUpdate, branches: Mapping[str, Sequence[str]]) -> None:
    branch = update.branch or ""
    others = [other for other in branches[environment_id(branch)] if other != branch]
    if update.old is None and others:
        raise Refused(175, f"{branch} would have the environment of {others[0]}.", "choose another name")


def _lost(update: RefUpdate, source: GitRepository, protected: Mapping[str, ProtectedBranch]) -> int:
    if update.branch not in protected or update.old is None or update.new is None:
        return 0
    return len(source.missing_from(update.new, update.old))


def _check_content(source: GitRepository, commit: str) -> Sequence[str]:
    source.check_tree(commit)
    if all(source.read(commit, path) is None for path in _APP_FILES):
        return [f"there is no {' or '.join(_APP_FILES)}, so no environment can be made of it yet."]
    return read_app(lambda path: source.read(commit, path)).warnings


def main() -> int:
    """The hook: reads the push from standard input, tells the pusher on standard error; 0 takes it, 3 refuses it."""
    try:
        repository = Path(os.environ["GIT_DIR"]).resolve()
        objects = {name: os.environ[name] for name in QUARANTINE if name in os.environ}
        verdict = judge(
            ref_updates(sys.stdin.buffer), GitRepository(repository, objects), protected_branches(repository)
        )
    except BranchlineError as error:
        _say("Branchline refused this push:", *_lines(error))
        return SAID
    except Exception as error:  # noqa: BLE001  whatever it was, the push was not proven good; no traceback for pushers
        _say(
            f"Branchline refused this push because checking it broke: {type(error).__name__}: {error} [B176]"
        )
        return SAID
    if verdict.refused:
        _say("Branchline refused this push; nothing of it was taken.")
        for ref, reason in verdict.refused.items():
            _say(f"- {ref}", *_lines(reason))
        return SAID
    _say(*verdict.notes)
    return 0


def _lines(error: BranchlineError) -> list[str]:
    return [f"    {line}" for line in str(error).splitlines()]


def _say(*lines: str) -> None:
    for line in lines:
        print(plain(line), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
