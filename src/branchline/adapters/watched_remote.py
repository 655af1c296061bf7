"""An outside repository whose branches are followed, under the rules by which pushes are taken.

What it had last is kept in refs of its own, hidden from whoever fetches: `seen` by branch, and `refused`, the commits that
were judged and not taken. Branches are moved by compare-and-swap, one by one: a bad one holds up no other.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from branchline.adapters.git import GitRepository, ask
from branchline.adapters.git_command import Repository, opened, plain
from branchline.adapters.git_source import source_url, without_secrets
from branchline.adapters.push_guard import judge, protected_branches
from branchline.domain.remote import Followed, Tips, differences
from branchline.errors import BadInput, Refused, Unavailable

ROOM = "refs/branchline"
NOTHING = "0" * 40


def follow(repository: Path, url: str) -> Followed:
    """Fetches its branches and moves those that may be moved. Protected branches never are.

    Raises BadInput for a URL that holds a secret or is none, Failed when it cannot be fetched, Refused when it has no
    branch at all, Unavailable when another process follows one now.
    """
    source = without_a_secret(url)
    with _alone(repository), opened(repository, {}) as opened_repository:
        return _Watched(opened_repository, repository, source).follow()


def without_a_secret(url: str) -> str:
    """What Git is to fetch from. Parameters of flows are shown in clear, so no secret stands in it. Raises BadInput."""
    source = source_url(url)
    parts = urlsplit(source) if "://" in source else None
    user = parts is not None and (parts.password or (parts.username and parts.scheme != "ssh"))
    if parts is not None and (user or parts.query or parts.fragment):
        raise BadInput(
            181,
            f"The URL of {without_secrets(source, source)} holds a user, a password or a token.",
            "put it where Git finds it: a credential helper, or an SSH key",
        )
    return source


@contextmanager
def _alone(repository: Path) -> Iterator[None]:
    """One process at a time; a lock that ends with its process."""
    with (repository / "branchline-watch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(
                184, f"Another process follows a remote of {repository.stem} now.", "try again in a minute"
            ) from None
        yield


@dataclass(frozen=True)
class _Watched:
    opened: Repository
    path: Path
    source: str

    def follow(self) -> Followed:
        there = self._fetch()
        repository, protected = GitRepository(self.path), protected_branches(self.path)
        here, seen, refused = repository.branches(), self._refs("seen"), self._refs("refused")
        updates, conflicts = differences(
            here, seen, there, lambda one, other: not repository.missing_from(one, other)
        )
        left = dict(conflicts)
        wanted = []
        for update in updates:
            branch = update.branch or ""
            if branch in protected:
                left[branch] = "is moved by promotion only"
            elif update.new is not None and refused.get(branch) == update.new:
                left[branch] = f"{update.new[:12]} is refused, as before"
            else:
                wanted.append(update)
        verdict = judge(wanted, repository, protected)
        self._forget("refused", refused, {each for each in there if refused.get(each) == there[each]})
        self._forget("seen", seen, here.keys() | there.keys())
        moved = []
        for update in sorted(wanted, key=lambda each: each.new is not None):  # a/b can be made once a is gone
            branch = update.branch or ""
            if update.ref in verdict.refused:
                self._set(f"{self._room('refused')}{branch}", update.new)
            elif problem := self._set(update.ref, update.new, update.old or NOTHING):
                left[branch] = problem
            else:
                moved.append(update)
                self._set(f"{self._room('seen')}{branch}", update.new)
        for branch, commit in there.items():
            if here.get(branch) == commit != seen.get(branch):
                self._set(f"{self._room('seen')}{branch}", commit)
        reasons = {ref.removeprefix("refs/heads/"): str(why) for ref, why in verdict.refused.items()}
        return Followed(moved, reasons, left)

    def _fetch(self) -> Tips:
        """Its branches, with all that they consist of."""
        self.opened.git.output("config", "transfer.hideRefs", ROOM)
        options = ("--quiet", "--no-write-fetch-head", "--no-recurse-submodules", "--no-tags", "--prune")
        refspec = f"+refs/heads/*:{self._room('incoming')}*"
        ask(self.opened, self.source, "fetch", *options, "--", self.source, refspec)
        there = self._refs("incoming")
        if not there:
            raise Refused(
                182,
                f"{without_secrets(self.source, self.source)} has no branch, so none is followed and none deleted.",
                "see whether it is the right repository: git ls-remote --heads URL",
            )
        return there

    def _forget(self, kind: str, known: Tips, keep: Container[str]) -> None:
        for branch in known:
            if branch not in keep:
                self._set(f"{self._room(kind)}{branch}", None)

    def _set(self, ref: str, commit: str | None, before: str | None = None) -> str | None:
        """Moves, makes or deletes a ref that is where it was before, where that is said; in words, why not."""
        what = ["-d", ref] if commit is None else [ref, commit]
        expected = [before] if before is not None else []
        status, _, error = self.opened.git.run("update-ref", "-m", "watch-remote", *what, *expected)
        return (plain(error).strip()[:300] or f"exit status {status}") if status else None

    def _room(self, kind: str) -> str:
        return f"{ROOM}/{hashlib.sha256(self.source.encode()).hexdigest()[:12]}/{kind}/"

    def _refs(self, kind: str) -> dict[str, str]:
        room = self._room(kind)
        lines = self.opened.git.output("for-each-ref", "--format=%(objectname) %(refname)", room)
        pairs = (line.split(" ", 1) for line in lines.splitlines())
        return {name.removeprefix(room): commit for commit, name in pairs}
