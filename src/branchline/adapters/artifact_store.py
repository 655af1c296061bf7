"""Artifacts as files of a directory or of any place that fsspec knows, each named by its digest."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from branchline.adapters.archive import ArchiveLimits, Contents, read_archive, write_archive
from branchline.adapters.leftovers import is_leftover, owned_name
from branchline.errors import BadInput, BranchlineError, Failed, Unavailable
from branchline.ports import Archived

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_SUFFIX = ".tar.zst"
_LIMITS = ArchiveLimits()


class FileArtifactStore:
    """Artifacts at `<url>/<first two of hex>/<hex>.tar.zst`: a path, or a URL with what its fsspec driver needs.

    Every method raises BadInput (426) for what is no digest and Unavailable (427) when the place does not answer.
    """

    def __init__(self, url: str, *, limits: ArchiveLimits = _LIMITS) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._limits = limits

    def put(self, tree: Path, announce: Callable[[str], None] = lambda _: None) -> Archived:
        """As `ArtifactStore.put`: under a temporary name first, then moved. What is stored already is read and
        kept when it is whole, replaced when it is not. Raises BadInput 420, 422; Failed 421.
        """
        temporary = f"{self._root}/incoming/{owned_name('artifact')}"
        with _answering():
            self._files.makedirs(f"{self._root}/incoming", exist_ok=True)
            try:
                with self._files.open(temporary, "wb") as file:
                    contents = write_archive(tree, cast("BinaryIO", file), self._limits)
                    self._sync(file)
                announce(contents.digest)
                if not self._is_whole(contents.digest):
                    self._publish(temporary, self._path(contents.digest))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(temporary)
            return self._archived(contents)

    def extract(self, digest: str, directory: Path) -> None:
        """As `ArtifactStore.extract`. Raises BadInput (428) for a directory that is not empty, Failed 423, 424,
        425, 429.
        """
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadInput(428, f"The directory {directory} is not empty.", "name another")
        with self._open(digest) as file:
            read_archive(file, digest, self._limits, directory)

    def verify(self, digest: str) -> Archived:
        """As `ArtifactStore.verify`. Raises Failed 423, 424, 425."""
        with self._open(digest) as file:
            contents = read_archive(file, digest, self._limits, None)
        return self._archived(contents)

    def remove(self, digest: str) -> None:
        """As `ArtifactStore.remove`."""
        with _answering(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(digest))

    def digests(self) -> Sequence[str]:
        """As `ArtifactStore.digests`, sorted."""
        with _answering():
            self._files.invalidate_cache()
            names = [path.rpartition("/")[2] for path in self._files.glob(f"{self._root}/??/*{_SUFFIX}")]
        found = (f"sha256:{name.removesuffix(_SUFFIX)}" for name in names)
        return sorted(digest for digest in found if _DIGEST.fullmatch(digest))

    def sweep(self) -> Sequence[str]:
        """Removes what processes of this host that have ended left half-written; gives the names."""
        with _answering():
            self._files.invalidate_cache()
            paths = self._files.glob(f"{self._root}/incoming/*")
            left = [path for path in paths if is_leftover(path.rpartition("/")[2])]
            for path in left:
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(path)
        return left

    def _path(self, digest: str) -> str:
        match = _DIGEST.fullmatch(digest)
        if match is None:
            raise BadInput(426, f"{digest!r} is not a digest.", "a digest is sha256: and 64 of 0-9 a-f")
        name = match[1]
        return f"{self._root}/{name[:2]}/{name}{_SUFFIX}"

    @contextlib.contextmanager
    def _open(self, digest: str) -> Iterator[BinaryIO]:
        path = self._path(digest)
        with _answering():
            try:
                file = self._files.open(path, "rb")
            except FileNotFoundError as error:
                raise Failed(
                    425,
                    f"The artifact {digest} is not in the store.",
                    "restore it from a backup of the artifacts, or commit a change: another tree is built anew",
                ) from error
            with file:
                yield cast("BinaryIO", file)

    def _is_whole(self, digest: str) -> bool:
        try:
            self.verify(digest)
        except Failed:
            return False
        return True

    def _publish(self, temporary: str, path: str) -> None:
        parent = path.rpartition("/")[0]
        self._files.makedirs(parent, exist_ok=True)
        self._files.mv(temporary, path)
        if isinstance(self._files, LocalFileSystem):
            _sync_directory(parent)

    def _sync(self, file: object) -> None:
        if isinstance(self._files, LocalFileSystem):
            opened = cast("BinaryIO", file)
            opened.flush()
            os.fsync(opened.fileno())

    def _archived(self, contents: Contents) -> Archived:
        with _answering():
            self._files.invalidate_cache()
            stored: int = self._files.size(self._path(contents.digest))
        return Archived(contents.digest, contents.files, contents.size, stored)


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """What a driver raises is said as: the place does not answer."""
    try:
        yield
    except BranchlineError:
        raise
    except OSError as error:
        raise Unavailable(
            427, f"The artifact store does not answer: {error}.", "see that it can be reached and written"
        ) from error


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
