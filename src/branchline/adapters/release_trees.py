"""The trees of artifacts on this host: each unpacked once, read-only, shared by every environment that runs it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from branchline.adapters.leftovers import is_leftover, owned_name, remove_tree
from branchline.errors import BadInput
from branchline.ports import ArtifactStore

_HEX = 64
_BEING_MADE = "making"
_BEING_REMOVED = "removing"


class ReleaseTrees:
    """Trees at `<root>/<hex of the digest>`. One that is there is whole: it gets its name last, after all of it has
    reached the disk, so neither a crash nor a power cut leaves a half one under that name.
    """

    def __init__(self, root: Path, store: ArtifactStore) -> None:
        self._root = root
        self._store = store

    def at_hand(self, digest: str) -> Path:
        """The tree of an artifact, unpacked now if it was not before. Two processes may do so at once: one tree stays.

        Raises what `ArtifactStore.extract` raises; BadInput (426) for what is no digest.
        """
        tree = self._tree(digest)
        if tree.is_dir():
            return tree
        self._root.mkdir(parents=True, exist_ok=True)
        making = self._root / owned_name(_BEING_MADE)
        making.mkdir()
        try:
            self._store.extract(digest, making)
            _make_read_only(making)
            _sync_file_system(making)
            self._give_name(making, tree)
        finally:
            remove_tree(making)
        return tree

    def remove(self, digest: str) -> None:
        """Removes a tree; content when it is gone. Whoever calls knows that nothing runs from it."""
        removing = self._root / owned_name(_BEING_REMOVED)
        with contextlib.suppress(FileNotFoundError):
            self._tree(digest).rename(removing)
        remove_tree(removing)

    def digests(self) -> Sequence[str]:
        """Those at hand, sorted."""
        return sorted(f"sha256:{name}" for name in self._names() if _is_hex(name))

    def sweep(self) -> Sequence[str]:
        """Removes what processes that have ended left half-made or half-removed; gives the names."""
        left = [name for name in self._names() if is_leftover(name)]
        for name in left:
            remove_tree(self._root / name)
        return left

    def _tree(self, digest: str) -> Path:
        kind, _, name = digest.partition(":")
        if kind != "sha256" or not _is_hex(name):
            raise BadInput(426, f"{digest!r} is not a digest.", "a digest is sha256: and 64 of 0-9 a-f")
        return self._root / name

    def _names(self) -> list[str]:
        try:
            return [entry.name for entry in self._root.iterdir()]
        except FileNotFoundError:
            return []

    def _give_name(self, making: Path, tree: Path) -> None:
        try:
            making.rename(tree)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        _sync(self._root)


def _is_hex(name: str) -> bool:
    return len(name) == _HEX and set(name) <= set("0123456789abcdef")


def _make_read_only(tree: Path) -> None:
    for parent, _, files in os.walk(tree, topdown=False):
        for name in files:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                path.chmod(mode & 0o555)
        Path(parent).chmod(0o555)


def _sync_file_system(path: Path) -> None:
    """All that was written to the file system of a path reaches its disk: one call, where fsync needs one per file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", str(path))
    finally:
        os.close(fd)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
