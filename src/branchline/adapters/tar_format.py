"""The tar of one canonical form that artifacts are kept in: how a member is written, and the only way to read it.

The bytes are Branchline's own promise (a digest names them), so they are made here and not by a library
whose next version may write them in another way. Any tar program reads them.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from dataclasses import dataclass

from branchline.errors import Failed

BLOCK = 512
END = bytes(2 * BLOCK)
TIME = 315_532_800
"""Seconds since 1970 of every file's time: 1 January 1980, before which zip knows no time."""

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x")
_ZERO = b"0000000\0"
_NAME = 100
_PLAIN_SIZE = 8**11
_PAX_MOST = 64 * 1024
_PATH_MOST = 4095


class Kind(enum.Enum):
    """What a member is; the value is tar's letter for it."""

    FILE = b"0"
    LINK = b"2"
    DIRECTORY = b"5"


_REFUSED_KINDS = {
    b"1": "a hard link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"g": "a global header",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One entry: its path in the tree, `size` in bytes for a file, `target` for a symbolic link."""

    name: bytes
    kind: Kind
    size: int = 0
    executable: bool = False
    target: bytes = b""


def encode(member: Member) -> bytes:
    """The header blocks of a member."""
    name = member.name + b"/" if member.kind is Kind.DIRECTORY else member.name
    records: dict[bytes, bytes] = {}
    if len(name) > _NAME:
        records[b"path"] = name
    if len(member.target) > _NAME:
        records[b"linkpath"] = member.target
    if member.size >= _PLAIN_SIZE:
        records[b"size"] = b"%d" % member.size
    plain_size = member.size if member.size < _PLAIN_SIZE else 0
    block = _block(name[:_NAME], _mode(member), plain_size, member.kind.value, member.target[:_NAME])
    return _pax(records) + block if records else block


def padding(size: int) -> bytes:
    """What follows a file of this many bytes, up to the next block."""
    return bytes(-size % BLOCK)


def decode(read: Callable[[int], bytes]) -> Member | None:
    """The next member, or None at the end of the archive; `read` gives exactly as many bytes as asked for.

    Raises Failed (423) for everything that `encode` would not have written.
    """
    block = read(BLOCK)
    if block == bytes(BLOCK):
        if read(BLOCK) != block:
            raise refused("it goes on after its end")
        return None
    raw, records = block, {}
    if block[156:157] == b"x":
        size = _octal(block[124:136])
        if size > _PAX_MOST:
            raise refused("it has a header of more than 64 KiB")
        body = read(size + len(padding(size)))
        records = _records(body[:size])
        block = read(BLOCK)
        raw += body + block
    member = _member(block, records)
    if encode(member) != raw:
        raise refused(f"{shown(member.name)} is not in the form in which Branchline writes it")
    return member


def refused(reason: str) -> Failed:
    """The error for an archive that is not as it must be."""
    return Failed(
        423,
        f"The artifact is refused: {reason}.",
        "restore it from a backup of the artifacts, or commit a change: another tree is built anew",
    )


def shown(name: bytes) -> str:
    """A name of any bytes, for people."""
    return repr(name.decode(errors="backslashreplace"))


def _member(block: bytes, records: dict[bytes, bytes]) -> Member:
    name = records.get(b"path", block[:100].rstrip(b"\0"))
    target = records.get(b"linkpath", block[157:257].rstrip(b"\0"))
    letter = block[156:157]
    if letter not in {kind.value for kind in Kind}:
        what = _REFUSED_KINDS.get(letter, f"of the unknown kind {letter!r}")
        raise refused(f"{shown(name)} is {what}")
    kind = Kind(letter)
    mode = _octal(block[100:108])
    if mode & 0o7000:
        raise refused(f"{shown(name)} has a setuid, setgid or sticky bit")
    path = name.removesuffix(b"/") if kind is Kind.DIRECTORY else name
    _check_path(path)
    size = _octal(block[124:136])
    if b"size" in records:
        if not records[b"size"].isdigit() or len(records[b"size"]) > 18:  # noqa: PLR2004 - 10**18 bytes
            raise refused(f"{shown(name)} has a size that is no number")
        size = int(records[b"size"])
    if kind is not Kind.FILE and size:
        raise refused(f"{shown(name)} has contents but is no file")
    return Member(
        path, kind, size, bool(mode & 0o100) and kind is Kind.FILE, target if kind is Kind.LINK else b""
    )


def _check_path(path: bytes) -> None:
    if path.startswith(b"/"):
        raise refused(f"{shown(path)} is an absolute path")
    parts = path.split(b"/")
    if b".." in parts:
        raise refused(f"{shown(path)} contains ..")
    if b"" in parts or b"." in parts or b"\0" in path or len(path) > _PATH_MOST:
        raise refused(f"{shown(path[:200])} is no proper path")


def _mode(member: Member) -> int:
    if member.kind is Kind.LINK:
        return 0o777
    return 0o755 if member.executable or member.kind is Kind.DIRECTORY else 0o644


def _block(name: bytes, mode: int, size: int, letter: bytes, target: bytes, time: int = TIME) -> bytes:
    fields = [
        *(name, b"%07o\0" % mode, _ZERO, _ZERO, b"%011o\0" % size, b"%011o\0" % time),
        *(b" " * 8, letter, target, b"ustar\x0000", b"", b"", b"", b"", b""),
    ]
    fields[6] = b"%06o\0 " % sum(_HEADER.pack(*fields))
    return _HEADER.pack(*fields)


def _pax(records: dict[bytes, bytes]) -> bytes:
    try:
        b"".join(records.values()).decode()
    except UnicodeDecodeError:
        records = {b"hdrcharset": b"BINARY", **records}
    body = b"".join(_record(key, value) for key, value in records.items())
    return _block(b"././@PaxHeader", 0, len(body), b"x", b"", time=0) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" %s=%s\n" % (key, value)
    size = len(rest) + len(str(len(rest)))
    size = len(rest) + len(str(size))
    return b"%d%s" % (size, rest)


def _records(body: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    while body:
        digits, _, _ = body.partition(b" ")
        if not digits.isdigit() or len(digits) > 6:  # noqa: PLR2004 - more than 64 KiB
            raise refused("it has a header that cannot be read")
        record, body = body[: int(digits)], body[int(digits) :]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n") or not int(digits):
            raise refused("it has a header that cannot be read")
        records[key] = value[:-1]
    return records


def _octal(field: bytes) -> int:
    digits = field.rstrip(b"\0 ")
    if not digits.isdigit() or digits.translate(None, b"01234567"):
        raise refused("it has a number that cannot be read")
    return int(digits, 8)
