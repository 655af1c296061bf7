"""The files of a mount, sanitized: copied, left out, or stood in for, by the first glob that matches.

A file's name can say as much as its content, so a placeholder gets a keyed name: the same for the same path everywhere,
and the `path` mask gives a column that holds such paths the same names.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
from PIL import Image, UnidentifiedImageError

from branchline.domain.policy import FileRule
from branchline.errors import Failed, Refused
from branchline.sanitize.drawing import Draw

LARGEST_IMAGE = 64_000_000
LONGEST_SUFFIX = 6
_NAMED = 20
_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)


@dataclass(frozen=True, slots=True)
class FilesReport:
    """One mount: how many files were copied, left out, stood in for, and the bytes of the copy."""

    mount: str
    copied: int = 0
    skipped: int = 0
    placeholders: int = 0
    size: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_files(source: Path, rules: Sequence[FileRule], *, mount: str) -> list[str]:
    """Every path without a decision, every rule without a path, and what cannot be copied. Names folders, not files: a
    file's name may be somebody's.
    """
    unlisted: Counter[str] = Counter()
    odd: list[str] = []
    used: set[str] = set()
    for path, kind in _walk(source):
        rule = _rule(rules, path)
        if rule is None:
            unlisted[_folder(path)] += 1
            continue
        used.add(rule.glob)
        if kind != "file" and rule.action != "skip":
            odd.append(
                f"files.{mount}: a {kind} in {_folder(path)} cannot be copied; skip it or take it away"
            )
    problems = [
        f'files.{mount}: {count:,} files in {folder} have no decision; add: {{"{folder}**": placeholder}}'
        for folder, count in sorted(unlisted.items())[:_NAMED]
    ]
    return [
        *problems,
        *sorted(set(odd)),
        *(
            f"files.{mount}.{rule.glob}: no file matches, and a later line would copy what it means"
            for place, rule in enumerate(rules)
            if rule.glob not in used
            and not rule.packed
            and rule.action != "copy"
            and _copies(rules[place + 1 :])
        ),
    ]


def _copies(rules: Sequence[FileRule]) -> bool:
    return any(rule.action == "copy" for rule in rules)


def sanitize_files(
    source: Path,
    target: Path,
    rules: Sequence[FileRule],
    *,
    mount: str,
    key: bytes,
    progress: Callable[[int], None] = lambda _: None,
) -> FilesReport:
    """Fills an empty directory with a mount's files by their rules. Raises Refused before the first file when one has no
    decision, Failed when a placeholder cannot be made. Links are never followed.
    """
    problems = check_files(source, rules, mount=mount)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(
            509, f"The policy does not fit the mount {mount}:\n{listed}", "Correct `files:` in sanitize.yaml."
        )
    done: Counter[str] = Counter()
    for number, (path, kind) in enumerate(_walk(source), 1):
        rule = _rule(rules, path)
        if rule is None or (kind != "file" and rule.action != "skip"):
            raise Refused(509, f"The mount {mount} changed while it was read.", "Start the sync again.")
        if rule.action != "skip":
            done["size"] += _place(source / path, target, path, rule, key)
        done[rule.action] += 1
        progress(number)
    return FilesReport(mount, done["copy"], done["skip"], done["placeholder"], done["size"])


def masked_name(path: str, key: bytes) -> str:
    """The keyed name of a file under its own folder: `avatars/anna.png` becomes `avatars/<32 hex digits>.png`.

    The digits follow from the file's name alone, so a column that holds only the name is masked alike.
    """
    pure = PurePosixPath(path)
    name = pure.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    (digits,) = Draw(key).digest(pl.Series([name]), "file name").text(32)
    suffix = (
        pure.suffix.lower()
        if pure.suffix[1:].isascii() and pure.suffix[1:].isalnum() and len(pure.suffix) <= LONGEST_SUFFIX
        else ""
    )
    return str(pure.with_name(digits + suffix))


def _place(origin: Path, target: Path, path: str, rule: FileRule, key: bytes) -> int:
    goal = target / (masked_name(path, key) if rule.rename else path)
    goal.parent.mkdir(parents=True, exist_ok=True)
    if rule.action == "copy":
        shutil.copyfile(origin, goal, follow_symlinks=False)
        shutil.copymode(origin, goal)
    else:
        _placeholder(origin, goal)
    return goal.stat().st_size


def _placeholder(origin: Path, goal: Path) -> None:
    """A grey image of the same format and size, an empty page for a PDF, nothing at all for anything else."""
    with origin.open("rb") as file:
        if file.read(5) == b"%PDF-":
            goal.write_bytes(_PDF)
            return
    shape = _shape(origin)
    if shape is None:
        goal.write_bytes(b"")
        return
    format_, size = shape
    if size[0] * size[1] > LARGEST_IMAGE:
        size = (1, 1)
    mode = "L" if format_ in ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF") else "RGB"
    failed = False
    try:
        Image.new(mode, size, 0xB0 if mode == "L" else (0xB0, 0xB0, 0xB0)).save(goal, format=format_)
    except (OSError, ValueError, KeyError):
        failed = True
    if failed:
        raise Failed(
            514, f"No placeholder could be made for a {format_} image.", "Skip such files in sanitize.yaml."
        )


def _shape(origin: Path) -> tuple[str, tuple[int, int]] | None:
    try:
        with Image.open(origin) as image:
            return (image.format, image.size) if image.format else None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _walk(source: Path) -> Iterator[tuple[str, str]]:
    """Every path that is no plain directory, sorted, and what it is; a link is a link, wherever it leads."""
    for folder, folders, files in os.walk(source, followlinks=False):
        folders.sort()
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder) / name
            yield path.relative_to(source).as_posix(), _kind(path.lstat().st_mode)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "special file"


def _rule(rules: Sequence[FileRule], path: str) -> FileRule | None:
    return next((rule for rule in rules if rule.matches(path)), None)


def _folder(path: str) -> str:
    parent = PurePosixPath(path).parts[:1] if "/" in path else ()
    return f"{parent[0]}/" if parent else ""
