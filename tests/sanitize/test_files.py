"""Files of a mount, sanitized."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from branchline.domain.policy import FileRule
from branchline.errors import Refused
from branchline.sanitize.drawing import Draw
from branchline.sanitize.files import check_files, masked_name, sanitize_files
from branchline.sanitize.masks import catalogue
from branchline.sanitize.table import apply

KEY = b"k" * 32
RULES = (
    FileRule("products/**", "copy", rename=False),
    FileRule("avatars/**", "placeholder", rename=True),
    FileRule("tmp/**", "skip", rename=False),
)


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    root = tmp_path / "mount"
    for folder in ("products", "avatars", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "products" / "tea.txt").write_text("tea")
    Image.new("RGB", (33, 21), "red").save(root / "avatars" / "anna muster.png")
    Image.new("RGB", (12, 8), "red").save(root / "avatars" / "bob.JPG", format="JPEG")
    (root / "avatars" / "cv anna.pdf").write_bytes(b"%PDF-1.7 secret")
    (root / "avatars" / "notes.docx").write_bytes(b"secret")
    (root / "tmp" / "x").write_text("secret")
    return root


def test_each_file_is_copied_skipped_or_stood_in_for(mount: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    report = sanitize_files(mount, target, RULES, mount="media", key=KEY)
    assert (report.copied, report.skipped, report.placeholders) == (1, 1, 4)
    assert (target / "products" / "tea.txt").read_text() == "tea"
    assert not (target / "tmp").exists()
    everything = b"".join(
        str(p).encode() + (p.read_bytes() if p.is_file() else b"") for p in target.rglob("*")
    )
    assert b"secret" not in everything
    assert b"anna" not in everything


@pytest.mark.parametrize(
    ("name", "format_", "size"), [("anna muster.png", "PNG", (33, 21)), ("bob.JPG", "JPEG", (12, 8))]
)
def test_an_image_is_stood_in_for_by_one_of_its_type_and_size(
    mount: Path, tmp_path: Path, name: str, format_: str, size: tuple
) -> None:
    target = tmp_path / "target"
    sanitize_files(mount, target, RULES, mount="media", key=KEY)
    with Image.open(target / masked_name(f"avatars/{name}", KEY)) as image:
        assert (image.format, image.size) == (format_, size)
        assert len(image.getcolors() or []) == 1


def test_a_pdf_stays_a_pdf_and_anything_else_becomes_empty(mount: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    sanitize_files(mount, target, RULES, mount="media", key=KEY)
    assert (target / masked_name("avatars/cv anna.pdf", KEY)).read_bytes().startswith(b"%PDF-")
    assert (target / masked_name("avatars/notes.docx", KEY)).read_bytes() == b""


def test_a_column_of_paths_is_masked_to_the_names_of_the_placeholders() -> None:
    paths = ["avatars/anna muster.png", "bob.JPG", "a/b/c", ".hidden", "x.tar.gz", "a/.env", "nul.üü"]
    assert apply(catalogue()["path"], pl.Series(paths), Draw(KEY)).to_list() == [
        masked_name(path, KEY) for path in paths
    ]
    assert masked_name("a/b.png", KEY) != masked_name("a/b.png", b"x" * 32)


def test_a_placeholder_keeps_its_name_when_told_to(mount: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    sanitize_files(mount, target, (FileRule("**", "placeholder", rename=False),), mount="media", key=KEY)
    assert (target / "avatars" / "bob.JPG").exists()


def test_a_path_without_a_decision_stops_the_sync_before_the_first_file(mount: Path, tmp_path: Path) -> None:
    (mount / "uploads").mkdir()
    (mount / "uploads" / "anna muster passport.png").write_bytes(b"x")
    target = tmp_path / "target"
    with pytest.raises(Refused) as caught:
        sanitize_files(
            mount, target, (FileRule("nothing/**", "skip", rename=False), *RULES), mount="media", key=KEY
        )
    assert caught.value.number == 509
    assert '"uploads/**": placeholder' in caught.value.message
    assert "nothing/**: no file matches" in caught.value.message
    assert "anna" not in caught.value.message
    assert not target.exists()


def test_links_and_special_files_are_never_followed(mount: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (mount / "products" / "link").symlink_to(outside)
    (mount / "products" / "file.txt").symlink_to(outside / "secret.txt")
    os.mkfifo(mount / "products" / "pipe")
    problems = "\n".join(check_files(mount, RULES, mount="media"))
    assert "a link in products/" in problems
    assert "a special file in products/" in problems
    skipping = (FileRule("products/link", "skip", rename=False), FileRule("products/file.txt", "skip", rename=False),
                FileRule("products/pipe", "skip", rename=False), *RULES)  # fmt: skip
    target = tmp_path / "target"
    sanitize_files(mount, target, skipping, mount="media", key=KEY)
    assert sorted(path.name for path in (target / "products").iterdir()) == ["tea.txt"]


def test_a_broken_or_huge_image_becomes_an_empty_or_tiny_one(tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\xff" * 50)
    target = tmp_path / "target"
    report = sanitize_files(
        mount, target, (FileRule("**", "placeholder", rename=True),), mount="media", key=KEY
    )
    assert (report.placeholders, report.size) == (1, 0)
