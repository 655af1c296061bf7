"""Archives of directories: equal directories give equal bytes, and nothing else is ever read.

The format is a tar (ustar, with a pax header where a name or a size does not fit) of one canonical form: names
sorted by their bytes, owner 0, one time, modes 0755 or 0644, hard links as files. The reader takes only what
the writer would have written, byte for byte: so no owner, setuid bit, device, hard link or duplicate gets in.
The digest is over the tar, not over its compressed form.
"""

# names are bytes of any kind, which pathlib does not take
# ruff: noqa: PTH101, PTH102, PTH115, PTH118, PTH123, PTH211

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from branchline.adapters.archive_links import leaving
from branchline.adapters.leftovers import remove_tree
from branchline.adapters.tar_format import (
    END,
    TIME,
    Kind,
    Member,
    decode,
    encode,
    padding,
    refused,
    shown,
)
from branchline.errors import BadInput, Failed

_CHUNK = 2**20
_LEVEL = 3
_WINDOW = 2**23
_FREE_OF_RATIO = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What one archive may hold; more is refused, when writing and when reading."""

    size: int = 20 * 2**30
    """bytes of all files together"""
    members: int = 1_000_000
    """files, links and directories"""
    ratio: int = 1000
    """bytes of tar per stored byte, not counting the first 64 MiB; only when reading"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds: `digest` is `sha256:<hex>` of the tar, `files` counts links too, `size` is bytes of files."""

    digest: str
    files: int
    size: int


def write_archive(tree: Path, sink: BinaryIO, limits: ArchiveLimits) -> Contents:
    """Writes a directory as tar, compressed by Zstandard, to a file that stays open.

    Raises BadInput for what cannot be archived (420) or is too much (422), Failed for a file that changes
    meanwhile (421).
    """
    root = os.fsencode(tree)
    members = sorted(_members(root, limits), key=lambda member: member.name)
    size = sum(member.size for member in members)
    if size > limits.size:
        raise BadInput(422, f"The tree has {size:,} bytes; {limits.size:,} are allowed.", "remove some files")
    link = leaving({member.name: member.target for member in members if member.kind is Kind.LINK})
    if link is not None:
        raise _cannot_be_archived(
            link, "a link that leaves the tree", "make it relative, or a copy (`python3 -m venv --copies`)"
        )
    hashed = hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with compressor.stream_writer(sink, closefd=False) as compressed:
        for piece in _tar(root, members):
            hashed.update(piece)
            compressed.write(piece)
    return _contents(hashed.hexdigest(), members)


def read_archive(source: BinaryIO, digest: str, limits: ArchiveLimits, directory: Path | None) -> Contents:
    """Reads all of an archive, and writes its tree into an empty directory if one is given.

    Raises Failed: 423 for anything that `write_archive` does not write or the limits forbid, 424 for bytes that are
    not those of the digest, 429 when the tree cannot be written. Nothing is left in the directory then. Symbolic
    links are made last, when all of them are known to stay inside.
    """
    try:
        return _read(_Reader(source, limits), digest, limits, directory)
    except BaseException as error:
        if directory is not None:
            for entry in directory.iterdir():
                remove_tree(entry)
        if isinstance(error, zstandard.ZstdError):
            raise _damaged(f"it cannot be decompressed ({error})") from error
        raise


class _Reader:
    """The tar, exactly as many bytes as asked for, hashed and counted on the way."""

    def __init__(self, source: BinaryIO, limits: ArchiveLimits) -> None:
        self._source = source
        self._limits = limits
        self._stored = self._given = 0
        self._hashed = hashlib.sha256()
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        self._tar = decompressor.stream_reader(cast("BinaryIO", self), read_across_frames=True)

    def read(self, size: int) -> bytes:
        """Compressed bytes, for the decompressor."""
        data = self._source.read(size)
        self._stored += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes of the tar; at most a chunk or a header."""
        pieces = []
        missing = size
        while missing:
            piece = self._tar.read(missing)
            if not piece:
                raise _damaged("it ends too early")
            pieces.append(piece)
            missing -= len(piece)
        self._given += size
        if self._given > _FREE_OF_RATIO + self._limits.ratio * self._stored:
            raise refused(f"it unpacks to more than {self._limits.ratio} times its size")
        data = b"".join(pieces)
        self._hashed.update(data)
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """The contents of a file of this size, with the padding taken off."""
        whole = size
        while size:
            chunk = self.exactly(min(size, _CHUNK))
            size -= len(chunk)
            yield chunk
        if any(self.exactly(len(padding(whole)))):
            raise refused("it hides something between its files")

    def check_end(self, digest: str) -> None:
        """Nothing may follow, and the digest must be right."""
        if self._tar.read(1):
            raise refused("it goes on after its end")
        if f"sha256:{self._hashed.hexdigest()}" != digest:
            raise _damaged("its digest is another")


def _read(reader: _Reader, digest: str, limits: ArchiveLimits, directory: Path | None) -> Contents:
    members = _Checked(limits)
    root = None if directory is None else os.fsencode(directory)
    while (member := decode(reader.exactly)) is not None:
        members.add(member)
        if root is not None:
            _write(os.path.join(root, member.name), member, reader)
        else:
            for _ in reader.pieces(member.size):
                pass
    reader.check_end(digest)
    link = leaving(members.links)
    if link is not None:
        raise refused(f"{shown(link)} is a link that leaves the tree")
    if root is not None:
        for name, target in members.links.items():
            _write_link(os.path.join(root, name), target)
    return Contents(digest, members.files, members.size)


class _Checked:
    """Members so far; each is checked against those before it."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._last = b""
        self._directories = {b""}
        self._count = 0
        self.links: dict[bytes, bytes] = {}
        self.files = self.size = 0

    def add(self, member: Member) -> None:
        if member.name <= self._last:
            raise refused(f"{shown(member.name)} is there twice, or not in its order")
        if member.name.rpartition(b"/")[0] not in self._directories:
            raise refused(f"{shown(member.name)} is below something that is no directory")
        self._last = member.name
        self._count += 1
        self.size += member.size
        if self._count > self._limits.members:
            raise refused(f"it has more than {self._limits.members:,} entries")
        if self.size > self._limits.size:
            raise refused(f"it has more than {self._limits.size:,} bytes of files")
        if member.kind is Kind.DIRECTORY:
            self._directories.add(member.name)
            return
        self.files += 1
        if member.kind is Kind.LINK:
            if not member.target or b"\0" in member.target:
                raise refused(f"{shown(member.name)} is a link to nothing")
            self.links[member.name] = member.target


def _write(path: bytes, member: Member, reader: _Reader) -> None:
    """A file or a directory; a link is written when all are known."""
    try:
        if member.kind is Kind.DIRECTORY:
            os.mkdir(path)
            os.chmod(path, 0o755)  # noqa: S103 - whatever the umask is
        elif member.kind is Kind.FILE:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with open(fd, "wb") as file:
                file.writelines(reader.pieces(member.size))
                file.flush()
                os.fchmod(fd, 0o755 if member.executable else 0o644)
                os.utime(fd, (TIME, TIME))
    except OSError as error:
        raise _cannot_be_written(error) from error


def _write_link(path: bytes, target: bytes) -> None:
    try:
        os.symlink(target, path)
    except OSError as error:
        raise _cannot_be_written(error) from error


def _members(root: bytes, limits: ArchiveLimits) -> Iterator[Member]:
    """All below a directory of the tree, in no order."""
    found = 0
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        for entry in _entries(root, directory):
            found += 1
            if found > limits.members:
                raise BadInput(
                    422,
                    f"The tree has more than {limits.members:,} entries.",
                    "remove some files in the build hook",
                )
            member = _member(entry, directory)
            if member.kind is Kind.DIRECTORY:
                waiting.append(member.name)
            yield member


def _entries(root: bytes, directory: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(os.path.join(root, directory)) as entries:
            return list(entries)
    except OSError as error:
        raise _cannot_be_archived(directory, f"unreadable ({error.strerror})") from error


def _member(entry: os.DirEntry[bytes], directory: bytes) -> Member:
    name = os.path.join(directory, entry.name)
    status = entry.stat(follow_symlinks=False)
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return Member(name, Kind.FILE, status.st_size, bool(status.st_mode & stat.S_IXUSR))
        case stat.S_IFDIR:
            return Member(name, Kind.DIRECTORY)
        case stat.S_IFLNK:
            target = os.readlink(entry.path)
            if target.startswith(b"/"):
                raise _cannot_be_archived(
                    name,
                    "an absolute link",
                    "make it relative, or a copy (`python3 -m venv --copies`)",
                )
            return Member(name, Kind.LINK, target=target)
        case stat.S_IFSOCK:
            raise _cannot_be_archived(name, "a socket")
        case stat.S_IFIFO:
            raise _cannot_be_archived(name, "a named pipe")
    raise _cannot_be_archived(name, "a device")


def _tar(root: bytes, members: list[Member]) -> Iterator[bytes]:
    for member in members:
        if member.kind is Kind.FILE:
            yield from _file(os.path.join(root, member.name), member)
        else:
            yield encode(member)
    yield END


def _file(path: bytes, member: Member) -> Iterator[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise _cannot_be_archived(member.name, f"unreadable ({error.strerror})") from error
    try:
        before = os.fstat(fd)
        head = encode(member)
        missing = member.size
        while missing and (data := os.read(fd, min(missing, _CHUNK))):
            missing -= len(data)
            yield head + data
            head = b""
        after = os.fstat(fd)
    finally:
        os.close(fd)
    if missing or (before.st_mtime_ns, member.size) != (after.st_mtime_ns, after.st_size):
        raise Failed(
            421,
            f"{shown(member.name)} changed while it was being archived.",
            "see what still writes there, then repeat",
        )
    yield head + padding(member.size)


def _contents(digest: str, members: list[Member]) -> Contents:
    files = [member for member in members if member.kind is not Kind.DIRECTORY]
    return Contents(f"sha256:{digest}", len(files), sum(member.size for member in files))


def _cannot_be_archived(name: bytes, what: str, hint: str = "remove it in the build hook") -> BadInput:
    return BadInput(420, f"{shown(name)} in the tree is {what}: it cannot be part of an artifact.", hint)


def _cannot_be_written(error: OSError) -> Failed:
    return Failed(429, f"The tree cannot be written: {error.strerror}.", "see the disk, then repeat")


def _damaged(reason: str) -> Failed:
    return Failed(
        424,
        f"The artifact is damaged: {reason}.",
        "restore it from a backup of the artifacts, or commit a change: another tree is built anew",
    )
