"""Recognisable values, and the search for them in everything that was written."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import zstandard

MARK = "zyrqvex"
DIGITS = "98877"
ADDRESS = "fd5a:7a79:7271"
DAY = "1907-03-17"
BIRTH = "1911-11-11"
NUMBER = 1_907_000_000


def marked(number: int) -> str:
    """A word; its last letter is there because the last bits of a text differ from one base64 to another."""
    return f"{MARK}{number:05}k"


@dataclass(frozen=True)
class Canary:
    """`text` is what is searched for; `what` says where it was planted."""

    what: str
    text: str
    number: int | None = None
    """An integer's value, which a database file holds in binary."""

    @cached_property
    def forms(self) -> tuple[bytes, ...]:
        return forms_of(self.text)


def forms_of(text: str) -> tuple[bytes, ...]:
    """As it is, in small letters, in a URL, in UTF-16, in hexadecimal digits, and inside base64."""
    raw = text.encode()
    plain = {raw, raw.lower(), quote(text).encode(), text.encode("utf-16-le")[:-1], raw.hex().encode()}
    return (*plain, *_inside_base64(raw))


def _inside_base64(raw: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        yield encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]


FAMILIES = tuple(
    form for text in (MARK, DIGITS, ADDRESS, DAY, BIRTH, str(NUMBER)[:6]) for form in forms_of(text)
)


@dataclass(frozen=True)
class Written:
    """Bytes that somebody could read, and where they are: a path, with `!` what was unpacked from it."""

    where: str
    data: bytes

    def holds(self, canary: Canary) -> bool:
        if canary.number is not None and self.where.endswith((".db", "-wal", "-journal")):
            return canary.number.to_bytes(4, "big") in self.data
        return any(form in self.data for form in canary.forms)


def search(
    places: Iterable[Written], canaries: Iterable[Canary], more: Iterable[str] = ()
) -> list[tuple[Canary, str]]:
    """Each canary with each place where it was found. `more` are beginnings of canaries that belong to no family."""
    everything = list(canaries)
    families = (*FAMILIES, *(form for text in more for form in forms_of(text)))
    numbers = [each for each in everything if each.number is not None]
    found = []
    for place in places:
        if any(family in place.data for family in families):
            found += [(each, place.where) for each in everything if place.holds(each)]
        else:
            found += [(each, place.where) for each in numbers if place.holds(each)]
    return found


def written(directory: Path, before: str = "") -> Iterator[Written]:
    """Everything below a directory: names, link targets, contents, and what is packed in archives and repositories."""
    names = []
    for path in sorted(directory.rglob("*")):
        where = before + str(path.relative_to(directory))
        names.append(where)
        if path.is_symlink():
            yield Written(where, str(path.readlink()).encode())
        elif path.is_file():
            data = path.read_bytes()
            yield Written(where, data)
            yield from _unpacked(where, path, data)
        elif path.name.endswith(".git"):
            yield Written(f"{where}!objects", _git_objects(path))
    for name in names:
        yield Written(f"{name}!name", Path(name).name.encode())


def _unpacked(where: str, path: Path, data: bytes) -> Iterator[Written]:
    if path.suffix == ".zst":
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            for member in archive:
                if member.isfile():
                    content = archive.extractfile(member)
                    assert content is not None
                    yield Written(f"{where}!{member.name}", content.read())
        yield Written(f"{where}!", plain)
    elif re.search(rb"[A-Za-z0-9+/]{60,76}\n[A-Za-z0-9+/]{4}", data):
        yield Written(f"{where}!unwrapped", data.replace(b"\n", b""))


def _git_objects(repository: Path) -> bytes:
    command = ["git", "-C", str(repository), "cat-file", "--batch", "--batch-all-objects"]
    return subprocess.run(command, check=True, capture_output=True).stdout
