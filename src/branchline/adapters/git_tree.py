"""What is in the tree of a commit, and which of it cannot be built."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

from branchline.adapters.git_command import Repository, git_failed
from branchline.errors import BadInput, Failed

SYMLINK = 0o120000
SUBMODULE = 0o160000
MOST_FILES = 1_000_000
"""More than any application has; a tree of trees can name 10^10 files in a few hundred bytes."""

_POINTER = b"version https://git-lfs.github.com/spec/v1"
_POINTER_SIZE = 1024  # git-lfs, docs/spec.md: a pointer file is smaller than this
_LONGEST_NAME = 255  # bytes, of ext4 and most others
_LONGEST_PATH = 2048  # bytes; Linux takes 4096 with the directory that it is written to
_MOST_HOPS = 40  # Linux follows so many symbolic links in one path
_NAMED = 20
_CHUNK = 1 << 20
_DIRECTORY_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree. `size` is in bytes, -1 where it has none; `raw_path` is as Git stores it."""

    mode: int
    id: str
    size: int
    raw_path: bytes

    @property
    def path(self) -> str:
        """The path as text; bytes that are not UTF-8 and control characters as escapes."""
        return shown_path(self.raw_path)


def shown_path(raw: bytes) -> str:
    """A path for people: escapes in place of what is not printable UTF-8."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def entries(repository: Repository, tree: str) -> Iterator[Entry]:
    """Every file below a tree id, in Git's order, streamed.

    Raises BadInput over MOST_FILES, Failed when the tree cannot be read.
    """
    with _process(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", tree) as listing:
        rest = b""
        count = 0
        while chunk := listing.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\0")
            count += len(lines)
            if count > MOST_FILES:
                raise BadInput(
                    153,
                    f"The tree has more than {MOST_FILES:,} files.",
                    "keep generated files out of the repository",
                )
            yield from map(_entry, lines)
        error = listing.stderr.read().decode("utf-8", "replace")
        if status := listing.proc.wait():
            raise git_failed("ls-tree", status, error)


@contextmanager
def _process(repository: Repository, command: str, *options: str) -> Iterator[Any]:
    """A Git command that runs beside us, ended with the context."""
    running = getattr(repository.git, command)(*options, istream=PIPE, as_process=True)
    try:
        yield running
    finally:
        for pipe in (running.stdin, running.stdout, running.stderr):
            with suppress(BrokenPipeError):
                pipe.close()
        running.proc.wait()


def _entry(line: bytes) -> Entry:
    head, _, path = line.partition(b"\t")
    mode, _, blob, size = head.decode("ascii").split()
    return Entry(int(mode, 8), blob, int(size) if size.isdigit() else -1, path)


def name_problem(entry: Entry) -> str | None:
    """Why a file with this name, or of this kind, cannot be written; None when it can."""
    if entry.mode == SUBMODULE:
        return "is a submodule"
    try:
        text = entry.raw_path.decode("utf-8")
    except UnicodeDecodeError:
        return "has a name that is not UTF-8"
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):  # noqa: PLR2004
        return "has control characters in its name"
    parts = entry.raw_path.split(b"/")
    if any(part in {b"", b".", b".."} or part.lower() == b".git" for part in parts):
        return "has a name that Git does not check out"
    if len(entry.raw_path) > _LONGEST_PATH or any(len(part) > _LONGEST_NAME for part in parts):
        return "has a name that is too long"
    return None


def leaves_tree(path: str, links: Mapping[str, str]) -> bool:
    """Whether following the symbolic link at `path` leads out of the tree, or nowhere in 40 steps.

    `links` is every link of the tree: its target by its path.
    """
    here = path.split("/")[:-1]
    todo = links[path].split("/")[::-1]
    if links[path].startswith("/"):
        return True
    hops = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if not here:
                return True
            here.pop()
        elif part not in {"", "."}:
            here.append(part)
            target = links.get("/".join(here))
            if target is not None:
                hops += 1
                if target.startswith("/") or hops > _MOST_HOPS:
                    return True
                here.pop()
                todo.extend(target.split("/")[::-1])
    return False


def problems(files: Iterable[Entry], content: Callable[[str], bytes]) -> Iterator[tuple[str, str]]:
    """Path and reason of each file that cannot be built. `content` reads a small blob by its id."""
    links: dict[str, str] = {}
    seen: set[bytes] = set()
    directories: set[bytes] = set()
    for entry in files:
        problem = name_problem(entry) or ("is there twice" if entry.raw_path in seen else None)
        seen.add(entry.raw_path)
        _add_parents(directories, entry.raw_path)
        if problem:
            yield entry.path, problem
        elif entry.mode == SYMLINK and entry.size > _LONGEST_PATH:
            yield entry.path, "is a symbolic link with a target that is too long"
        elif entry.mode == SYMLINK:
            links[_text(entry.raw_path)] = _text(content(entry.id))
        elif len(_POINTER) <= entry.size < _POINTER_SIZE and content(entry.id).startswith(_POINTER):
            yield entry.path, "is a Git LFS pointer, not the file itself"
    for both in sorted(seen & directories):
        yield shown_path(both), "is a file and a directory"
    for link, target in links.items():
        if leaves_tree(link, links):
            yield shown_path(_raw(link)), f"is a symbolic link out of the tree, to {shown_path(_raw(target))}"


def _add_parents(directories: set[bytes], path: bytes) -> None:
    while (path := path.rpartition(b"/")[0]) and path not in directories:
        directories.add(path)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def refuse(found: Iterable[tuple[str, str]]) -> None:
    """Raises BadInput that names the files, the first 20 of them."""
    listed: list[str] = []
    count = 0
    for path, reason in found:
        count += 1
        if count <= _NAMED:
            listed.append(f"{path} {reason}")
    if not count:
        return
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    raise BadInput(154, f"This tree cannot be built: {'; '.join(listed)}{more}.", _advice(listed))


def _advice(listed: Sequence[str]) -> str:
    if any("submodule" in line for line in listed):
        return "commit the submodule's files themselves, or fetch them in the build hook"
    if any("LFS" in line for line in listed):
        return "git lfs migrate export --include=PATH puts the files themselves into Git"
    return "change the files, commit and push again"


def write_tree(repository: Repository, tree: str, directory: Path) -> None:
    """Writes every file below a tree id into an existing, empty directory; see `GitRepository.export`.

    Symbolic links come last, so nothing is ever written through one.
    """
    directory.chmod(_DIRECTORY_MODE)
    made = {directory}
    links: list[tuple[Path, str]] = []
    with _process(repository, "cat-file", "--batch") as blobs:
        for entry in entries(repository, tree):
            if problem := name_problem(entry):
                refuse([(entry.path, problem)])
            target = directory / _text(entry.raw_path)
            _make_directory(target.parent, made)
            if entry.mode == SYMLINK:
                links.append((target, entry.id))
            else:
                _write_blob(blobs, entry, target)
    for link, blob in links:
        link.symlink_to(_text(read_blob(repository, blob)))


def _make_directory(directory: Path, made: set[Path]) -> None:
    if directory in made:
        return
    _make_directory(directory.parent, made)
    directory.mkdir()
    directory.chmod(_DIRECTORY_MODE)
    made.add(directory)


def _write_blob(blobs: Any, entry: Entry, target: Path) -> None:
    """GitPython's own stream would read the rest of a file that the disk had no room for."""
    blobs.stdin.write(f"{entry.id}\n".encode())
    blobs.stdin.flush()
    header = blobs.stdout.readline()
    size = header.split()[-1]
    if not size.isdigit():
        raise _damaged(entry.id)
    left = int(size)
    digest = hashlib.sha1(b"blob %d\0" % left, usedforsecurity=False)
    with target.open("xb") as file:
        while left and (chunk := blobs.stdout.read(min(left, _CHUNK))):
            left -= len(chunk)
            digest.update(chunk)
            file.write(chunk)
        os.fchmod(file.fileno(), 0o755 if entry.mode & stat.S_IXUSR else 0o644)
    blobs.stdout.read(1)
    if digest.hexdigest() != entry.id:
        raise _damaged(entry.id)


def read_blob(repository: Repository, blob: str) -> bytes:
    """All bytes of a blob that is known to be small. Raises Failed where Git cannot give it."""
    try:
        content: bytes = repository.git.get_object_data(blob)[3]
    except ValueError:
        raise _damaged(blob) from None
    return content


def _damaged(blob: str) -> Failed:
    return Failed(
        167,
        f"The repository is damaged: Git cannot give the object {blob}.",
        "git fsck --full; then push it again",
    )
