"""A project's bare Git repository, read and moved through GitPython."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import git.objects

from branchline.adapters.git_command import Git, Repository, opened, plain
from branchline.adapters.git_source import source_url, without_secrets
from branchline.adapters.git_tree import SYMLINK, entries, problems, read_blob, refuse, shown_path, write_tree
from branchline.domain.names import check_branch, check_ref
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.ports import Commit

_FULL_ID = re.compile(r"[0-9a-f]{40}")
_ABBREVIATION = re.compile(r"[0-9a-fA-F]{4,40}")  # Git takes no fewer than four
_NOTHING = "0" * 40
_MOST_READ = 1 << 20
_BARE_SETTINGS = {
    "core.hooksPath": "hooks",  # or a core.hooksPath of the account that pushes would turn off the push guard
    "core.logAllRefUpdates": "true",  # who moved what, and for 30 days or more what a forced push left behind
    "receive.shallowUpdate": "false",
}
_NO_OBJECTS: Mapping[str, str] = MappingProxyType({})


class GitRepository:
    """The SourceRepository port over one bare repository.

    Every method opens the repository anew: an instance may be used by several threads, and keeps no process.
    """

    def __init__(self, path: Path, objects: Mapping[str, str] = _NO_OBJECTS) -> None:
        """`objects`: the values of `git_command.QUARANTINE` inside the pre-receive hook; nothing anywhere else."""
        self.path = path.absolute()
        self._objects = dict(objects)
        self._kept: Repository | None = None

    @contextmanager
    def kept_open(self) -> Iterator[GitRepository]:
        """The same repository, opened once for the time of the context: for one thread that asks much."""
        asked = GitRepository(self.path, self._objects)
        with opened(self.path, self._objects) as repository:
            asked._kept = repository
            yield asked

    @contextmanager
    def _opened(self) -> Iterator[Repository]:
        if self._kept is not None:
            yield self._kept
            return
        with opened(self.path, self._objects) as repository:
            yield repository

    def branches(self) -> Mapping[str, str]:
        """Commit id by branch name, sorted by name."""
        with self._opened() as repository:
            return _branches(repository)

    def resolve(self, ref: str) -> Commit:
        """The commit that a branch, a tag or a commit id names, in this order; but 40 digits are always an id.

        An annotated tag is followed to its commit. A full id is taken as long as Git has the commit, so that what
        once ran can be named after its branch is gone; an abbreviated one only when a branch or tag contains it.
        Raises BadInput.
        """
        check_ref(ref)
        with self._opened() as repository:
            return _told(repository.commit(self._find(repository, ref)))

    def _find(self, repository: Repository, ref: str) -> str:
        if not _FULL_ID.fullmatch(ref.lower()):
            short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
            for kind in ("refs/heads/", "refs/tags/"):
                name = kind + short
                if ref not in {short, name} or not _object(repository, name):
                    continue
                if commit := _object(repository, f"{name}^{{commit}}"):
                    return commit.id
                raise BadInput(156, f"{ref} names no commit, but another kind of object.", "name a commit")
        if _ABBREVIATION.fullmatch(ref):
            return self._find_id(repository, ref.lower())
        raise self._unknown(repository, ref)

    def _find_id(self, repository: Repository, digits: str) -> str:
        if len(digits) == len(_NOTHING):
            return self._commit_id(repository, digits)
        named = repository.git.output("rev-parse", f"--disambiguate={digits}").split()
        commits = [
            candidate
            for candidate in named
            if _is_commit(repository, candidate) and _contained(repository, candidate)
        ]
        if not commits:
            raise self._unknown(repository, digits)
        if len(commits) > 1:
            raise BadInput(
                157,
                f"{digits} is the start of {len(commits)} commits: {', '.join(commits)}.",
                "write more digits",
            )
        return commits[0]

    def _commit_id(self, repository: Repository, commit: str) -> str:
        if not _FULL_ID.fullmatch(commit) or not _is_commit(repository, commit):
            raise self._unknown(repository, commit)
        return commit

    def _unknown(self, repository: Repository, ref: str) -> BadInput:
        branches = _branches(repository)
        if not branches:
            return BadInput(
                158,
                f"The repository {self.path} is empty.",
                f"in your checkout: git push {self.path} HEAD:master",
            )
        names = ", ".join(list(branches)[:10]) + (", ..." if len(branches) > 10 else "")  # noqa: PLR2004
        return BadInput(
            155,
            f"There is no branch, tag or commit {plain(ref)[:100]} in this repository.",
            f"its branches: {names}",
        )

    def read(self, commit: str, path: str) -> bytes | None:
        """One file's bytes at a commit; None where there is no file. Raises BadInput over 1 MiB, or for a link."""
        if (
            not path
            or path.startswith("/")
            or {"", ".", ".."} & set(path.split("/"))
            or not path.isprintable()
        ):
            raise BadInput(
                159, f"{plain(path)[:100]!r} is no path of a file in a repository.", "a path like a/b.yaml"
            )
        with self._opened() as repository:
            tree = repository.commit(self._commit_id(repository, commit)).tree
            try:
                found = tree.join(path)
            except KeyError:
                return None
            if found.type != "blob":
                return None
            if found.mode == SYMLINK:
                raise BadInput(160, f"{path} is a symbolic link.", "put the file itself there")
            if found.size > _MOST_READ:
                raise BadInput(
                    161, f"{path} is {found.size:,} bytes long; at most 1 MiB is read.", "make it smaller"
                )
            return read_blob(repository, found.hexsha)

    def check_tree(self, commit: str) -> None:
        """Raises BadInput naming each file (the first 20) that cannot be built.

        These are submodules, Git LFS pointers, symbolic links that are absolute, lead out of the tree or in circles,
        names that are not UTF-8, have control characters, are too long or are not checked out by Git (`..`, `.git`),
        and paths that are a file and a directory. No blob of 2 KiB or more is read.
        """
        with self._opened() as repository:
            tree = repository.commit(self._commit_id(repository, commit)).tree.hexsha
            refuse(problems(entries(repository, tree), lambda blob: read_blob(repository, blob)))

    def export(self, commit: str, directory: Path) -> None:
        """Writes the commit's files, byte for byte as they are in Git, into an empty directory (made if missing).

        Files are 0644 or 0755, directories 0755, whatever the umask. No filter, line-end conversion or export
        attribute is applied: equal tree ids give equal files. Each file's content is checked against its id.
        Raises BadInput for what cannot be written, Failed when the directory is not empty, the disk is full or the
        repository is damaged; what was written until then stays for the caller to remove.
        """
        with self._opened() as repository:
            tree = repository.commit(self._commit_id(repository, commit)).tree.hexsha
            try:
                directory.mkdir(parents=True, exist_ok=True)
                if any(directory.iterdir()):
                    raise Failed(162, f"{directory} is not empty.", "remove it, or name another")
                write_tree(repository, tree, directory)
            except (FileExistsError, NotADirectoryError) as error:
                raise BadInput(
                    154, f"This tree cannot be built: {error.filename} is there twice.", "change the files"
                ) from None
            except OSError as error:
                raise Failed(
                    163, f"The files could not be written: {error}.", "look at df and permissions"
                ) from error

    def missing_from(self, commit: str, other: str | None) -> Sequence[Commit]:
        """The commits that `other` has and `commit` lacks, newest first; empty when `commit` contains `other`."""
        if other is None:
            return []
        with self._opened() as repository:
            between = f"{self._commit_id(repository, commit)}..{self._commit_id(repository, other)}"
            return [_told(found) for found in repository.iter_commits(between, date_order=True)]

    def changed_files(self, before: str | None, after: str) -> Sequence[str]:
        """Paths that differ between two commits, sorted, both paths of a renamed file; all of `after` without before.

        What is not printable in a path is escaped: these are for people.
        """
        with self._opened() as repository:
            tree = repository.commit(self._commit_id(repository, after)).tree.hexsha
            if before is None:
                return sorted(entry.path for entry in entries(repository, tree))
            start = self._commit_id(repository, before)
            listing = repository.git.output(
                "diff-tree", "-r", "-z", "--name-only", "--no-renames", start, after
            )
            return sorted(shown_path(os.fsencode(path)) for path in listing.split("\0") if path)

    def advance(self, branch: str, commit: str) -> None:
        """Fast-forwards a branch, or makes it, by compare-and-swap; content when it is there already.

        No hook of the repository runs. Raises BadInput, Refused when commits would be lost, Unavailable when
        another process moves the branch at the same time.
        """
        check_branch(branch)
        with self._opened() as repository:
            self._commit_id(repository, commit)
            before = _branches(repository).get(branch)
            if before == commit:
                return
            if before is not None and not repository.is_ancestor(before, commit):  # type: ignore[arg-type]
                lost = int(repository.git.output("rev-list", "--count", before, f"^{commit}"))
                raise Refused(
                    164,
                    f"Moving {branch} to {commit[:12]} would lose {lost} commit{'s' if lost > 1 else ''} of it.",
                    f"merge {branch} into the branch that you promote, then try again",
                )
            status, _, error = repository.git.run(
                "update-ref", "-m", "branchline", f"refs/heads/{branch}", commit, before or _NOTHING
            )
            if status and _branches(repository).get(branch) != commit:
                raise _not_moved(branch, error)


def _branches(repository: Repository) -> dict[str, str]:
    lines = repository.git.output("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/")
    pairs = (line.split(" ", 1) for line in lines.splitlines())
    return {name: commit for commit, name in pairs}


@dataclass(frozen=True, slots=True)
class _Object:
    id: str
    type: str


def _object(repository: Repository, name: str) -> _Object | None:
    """What a full ref name or id names. GitPython's own rev_parse stumbles over an @ in a name."""
    try:
        found, kind, _ = repository.git.get_object_header(name)
    except ValueError:
        return None
    return _Object(os.fsdecode(found), os.fsdecode(kind))  # annotated as text, bytes in fact


def _is_commit(repository: Repository, commit: str) -> bool:
    found = _object(repository, commit)
    return found is not None and found.type == "commit"


def _contained(repository: Repository, commit: str) -> bool:
    return bool(
        repository.git.output("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads", "refs/tags")
    )


def _told(commit: git.objects.Commit) -> Commit:
    return Commit(
        id=commit.hexsha,
        tree=commit.tree.hexsha,
        subject=plain(str(commit.summary)).strip(),
        author=plain(str(commit.author.name or "")).strip(),
    )


def _not_moved(branch: str, error: str) -> Refused | Unavailable:
    if "; cannot create" in error:
        return BadInput(
            165,
            f"{branch} cannot be made: Git keeps no branch whose name is the start of another one's, as a folder.",
            "choose another name",
        )
    return Unavailable(
        166,
        f"{branch} is being moved by another process: {plain(error.splitlines()[0])[:500]}",
        "try again; when no git process runs, remove the .lock file that Git names",
    )


def create_bare(path: Path, from_: str | Path | None = None) -> Sequence[str]:
    """Makes a bare repository at `path`: empty, or with the branches and tags of another one, by URL or path.

    It appears complete or not at all; `path` must not exist or be an empty directory. No remote and no credential
    is kept in it. Gives the names of the branches that were left out because no environment could be named so.
    Raises BadInput; Failed, never with a credential in it, when the other repository cannot be fetched.
    """
    path = path.absolute()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadInput(169, f"{path} exists already.", "name a directory that does not exist")
    source = None if from_ is None else source_url(from_)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        Git(path.parent).output(
            "init", "--quiet", "--bare", "--template=", "--initial-branch=master", "--", str(partial)
        )
        (partial / "hooks").mkdir()
        with opened(partial, _NO_OBJECTS) as repository:
            left_out = _fetch_all(repository, source) if source else []
            for setting, value in _BARE_SETTINGS.items():  # last, so that no reflog holds the URL
                repository.git.output("config", setting, value)
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return left_out


def _fetch_all(repository: Repository, source: str) -> list[str]:
    there = ask(repository, source, "ls-remote", "--symref", "--", source, "HEAD", "refs/heads/*")
    options = ("--quiet", "--no-write-fetch-head", "--no-recurse-submodules", "--no-tags")
    ask(
        repository,
        source,
        "fetch",
        *options,
        "--",
        source,
        "+refs/heads/*:refs/heads/*",
        "+refs/tags/*:refs/tags/*",
    )
    here = _branches(repository)
    if missing := set(re.findall(r"\trefs/heads/(.+)", there)) - here.keys():
        raise Failed(
            170,
            f"{without_secrets(source, source)} did not give {len(missing)} of its branches: it may be shallow.",
            "git fetch --unshallow there, then try again",
        )
    left_out = []
    for branch in here:
        try:
            check_branch(branch)
        except BadInput:
            repository.git.output("update-ref", "-d", f"refs/heads/{branch}")
            left_out.append(plain(branch))
    head = re.match(r"ref: refs/heads/(.+)\tHEAD", there)
    if head and head[1] in _branches(repository):
        repository.git.output("symbolic-ref", "HEAD", f"refs/heads/{head[1]}")
    return left_out


def ask(repository: Repository, source: str, *command: str) -> str:
    """What a command about another repository prints. Raises Failed, with nothing secret of its URL."""
    status, output, error = repository.git.run(*command)
    if status:
        words = " ".join(plain(without_secrets(error, source)).split())[-500:]
        raise Failed(
            170,
            f"{without_secrets(source, source)} could not be fetched: {words or f'exit status {status}'}.",
            "try it yourself: git ls-remote with the same URL; Branchline never asks for a password",
        )
    return output
