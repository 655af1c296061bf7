"""The outside world as the rules see it: small protocols, with the contract in the docstring.

Whatever creates something takes the name to create it under, and has a remover that finds it by that
name and is content when it is already gone: another process can then finish or undo what this one began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Output = Callable[[str], None]
"""Takes one line of a command's output, without its line end, as it is printed."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, as far as people are told about it."""

    id: str
    tree: str
    subject: str
    author: str


class SourceRepository(Protocol):
    """A project's bare Git repository. Names are checked here before they reach a command line."""

    def branches(self) -> Mapping[str, str]:
        """Commit id by branch name."""

    def resolve(self, ref: str) -> Commit:
        """The commit that a branch, tag or (abbreviated) commit id names. Raises BadInput."""

    def read(self, commit: str, path: str) -> bytes | None:
        """One file's bytes at a commit; None where there is no such file. Raises BadInput over 1 MiB."""

    def check_tree(self, commit: str) -> None:
        """Raises BadInput naming each file that cannot be built: a submodule, Git LFS pointer, link out of the tree."""

    def export(self, commit: str, directory: Path) -> None:
        """Writes the commit's files into an empty directory, with their executable bits; no .git."""

    def missing_from(self, commit: str, other: str | None) -> Sequence[Commit]:
        """The commits that `other` has and `commit` lacks, newest first; empty when `commit` contains `other`."""

    def changed_files(self, before: str | None, after: str) -> Sequence[str]:
        """Paths that differ between two commits, sorted; every path of `after` when there is no before."""

    def advance(self, branch: str, commit: str) -> None:
        """Fast-forwards a branch (or makes it); content when it is there already. Raises Refused when it would lose commits."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What an artifact store knows of one artifact: `digest` is `sha256:<hex>` of the uncompressed tar."""

    digest: str
    files: int
    size: int
    stored_size: int


class ArtifactStore(Protocol):
    """Immutable artifacts, named by digest, verified whenever they are read."""

    def put(self, tree: Path) -> Archived:
        """Archives a directory: sorted names, fixed owners and times, so equal directories have equal digests.

        Raises BadInput naming a link that leaves the tree, a device, a socket."""

    def extract(self, digest: str, directory: Path) -> None:
        """Writes the artifact's tree into an empty directory. Raises Failed, leaving nothing, on any tampering."""

    def verify(self, digest: str) -> Archived:
        """Reads all of it. Raises Failed when a byte differs or it is gone."""

    def remove(self, digest: str) -> None:
        """Content when it is gone."""

    def digests(self) -> Sequence[str]:
        """All that are stored."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a sandboxed command can see: its tree at /app, its mounts at /app/<mount>, and files it was given."""

    tree: Path
    tree_writable: bool = False
    mounts: Mapping[str, Path] = field(default_factory=dict)
    writable: Sequence[Path] = ()
    """Further directories, seen at their own path, that it may write: where an SQLite database lies."""
    environment: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""
    """Given to every process in it as BRANCHLINE_STEP, by which `kill_tagged` finds what is left of it."""


class Sandbox(Protocol):
    """Runs an application's own commands, confined."""

    kind: str

    def run(self, command: str, box: Box, *, timeout: float, output: Output) -> None:
        """Runs a shell command to its end. Raises Failed with its exit code, or on time-out, or when it fills the disk;
        nothing that it started is left running."""

    def serve(self, command: str, box: Box, *, output: Output) -> AbstractContextManager[int]:
        """Runs a server for the time of the context; gives the loopback port, which it gets as PORT."""

    def kill_tagged(self, tag: str) -> None:
        """Ends every process that carries this tag."""
