"""Which trees cannot be built, and that exporting them does no harm."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.adapters import git_tree
from branchline.adapters.git_tree import leaves_tree
from branchline.errors import BadInput, Failed
from tests.adapters.git_workshop import Workshop, workshop

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return workshop(tmp_path)


def refusal(shop: Workshop, commit: str) -> str:
    with pytest.raises(BadInput) as raised:
        shop.repository.check_tree(commit)
    return raised.value.message


def test_an_ordinary_tree_is_accepted(shop: Workshop) -> None:
    for link, target in {
        "link": "dir/file",
        "dir/up": "../Readme",
        "dangling": "var/later",
        "here": ".",
    }.items():
        (shop.checkout / link).parent.mkdir(exist_ok=True)
        (shop.checkout / link).symlink_to(target)
    files: dict[str, str | bytes] = {
        "Readme": "1",
        "README": "2",
        "dir/file": "x",
        ".gitignore": "*.o",
        "späce ü": "",
        ".github/x": "1",
    }
    files["about-lfs.md"] = "A pointer begins with " + POINTER
    files["long.txt"] = POINTER + "x" * 2000
    shop.repository.check_tree(shop.pushed(files))


def test_every_file_that_cannot_be_built_is_named_at_once(shop: Workshop) -> None:
    (shop.checkout / "passwd").symlink_to("/etc/passwd")
    (shop.checkout / "up").symlink_to("dir/../../x")
    commit = shop.commit({"image.psd": POINTER, "dir/copy.psd": POINTER, "fine": "x"})
    shop.git("update-index", "--add", "--cacheinfo", f"160000,{commit},vendor/library")
    shop.git("commit", "--quiet", "-m", "submodule")
    commit = shop.git("rev-parse", "HEAD")
    shop.push("HEAD:refs/heads/master")
    message = refusal(shop, commit)
    assert "image.psd is a Git LFS pointer" in message
    assert "dir/copy.psd is a Git LFS pointer" in message
    assert "vendor/library is a submodule" in message
    assert "passwd is a symbolic link out of the tree, to /etc/passwd" in message
    assert "up is a symbolic link out of the tree" in message
    assert "fine" not in message


def test_a_long_list_of_files_is_cut_with_their_number(shop: Workshop) -> None:
    commit = shop.pushed({f"image-{number}.psd": POINTER for number in range(50)})
    message = refusal(shop, commit)
    assert message.count("LFS pointer") == 20
    assert "and 30 more" in message


HOSTILE = [
    b"..",
    b".",
    b".git",
    b".GIT",
    b"/etc",
    b"line\nbreak",
    b"esc\x1b[31m",
    b"caf\xe9",
    b"x" * 256,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_cannot_be_written_is_refused_and_never_exported(
    shop: Workshop, tmp_path: Path, name: bytes
) -> None:
    blob = shop.blob(b"x")
    for tree in (
        shop.tree(("100644", name, blob)),
        shop.tree(("40000", b"dir", shop.tree(("40000", name, shop.tree(("100644", b"f", blob)))))),
    ):
        commit = shop.commit_of(tree)
        message = refusal(shop, commit)
        assert message.isprintable()
        out = tmp_path / tree
        with pytest.raises(BadInput):
            shop.repository.export(commit, out)
        assert not [path for path in out.rglob("*") if path.is_file()]


def test_a_tree_that_git_cannot_list_is_no_tree_to_build(shop: Workshop) -> None:
    with pytest.raises(Failed, match="empty filename"):
        shop.repository.check_tree(shop.commit_of(shop.tree(("100644", b"", shop.blob(b"x")))))


def test_a_link_and_a_directory_of_one_name_write_nothing_outside(shop: Workshop, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    below = shop.tree(("100644", b"owned", shop.blob(b"x")))
    link = ("120000", b"a", shop.blob(str(outside).encode()))
    for number, tree in enumerate(
        (shop.tree(link, ("40000", b"a", below)), shop.tree(("40000", b"a", below), link))
    ):
        commit = shop.commit_of(tree)
        assert "a is a file and a directory" in refusal(shop, commit)
        with pytest.raises(BadInput):
            shop.repository.export(commit, tmp_path / f"out-{number}")
    assert list(outside.iterdir()) == []


def test_two_files_of_one_name_are_refused(shop: Workshop, tmp_path: Path) -> None:
    tree = shop.tree(("100644", b"a", shop.blob(b"1")), ("100644", b"a", shop.blob(b"2")))
    commit = shop.commit_of(tree)
    assert "a is there twice" in refusal(shop, commit)
    with pytest.raises(BadInput, match="there twice"):
        shop.repository.export(commit, tmp_path / "out")


def test_a_submodule_is_not_exported_as_nothing(shop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="library is a submodule"):
        shop.repository.export(shop.commit_of(shop.tree(("160000", b"library", "1" * 40))), tmp_path / "out")


def test_a_tree_of_ten_billion_files_is_refused_soon(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_tree, "MOST_FILES", 10_000)
    item, mode = shop.blob(b"x"), "100644"
    for _ in range(10):
        item, mode = shop.tree(*((mode, b"%d" % number, item) for number in range(10))), "40000"
    assert "more than 10,000 files" in refusal(shop, shop.commit_of(item))


def test_a_link_with_an_endless_target_is_refused_without_reading_it(shop: Workshop) -> None:
    commit = shop.commit_of(shop.tree(("120000", b"a", shop.blob(b"x/" * 100_000))))
    assert "too long" in refusal(shop, commit)


# the rule for symbolic links agrees with the operating system

PARTS = st.sampled_from(["a", "b", "c", "..", ".", "missing"])
TARGETS = st.lists(PARTS, min_size=1, max_size=6).map("/".join)
PLACES = st.sampled_from(["l1", "l2", "a/l1", "a/l2", "a/b/l1", "a/b/l2", "c"])


@given(st.dictionaries(PLACES, TARGETS, min_size=1), st.booleans())
def test_a_link_leads_out_just_where_the_operating_system_says_so(
    links: dict[str, str], through: bool
) -> None:
    if through:
        links = {link: target.replace("missing", "l1") for link, target in links.items()}
    with tempfile.TemporaryDirectory() as made:
        root = Path(made).resolve() / "one" / "two" / "root"
        (root / "a" / "b" / "c").mkdir(parents=True)
        for link, target in links.items():
            (root / link).symlink_to(target)
        for link in links:
            inside = Path(os.path.realpath(root / link)).is_relative_to(root)
            try:
                (root / link).stat()
                followed, circular = True, False
            except OSError as error:
                followed, circular = False, error.errno == errno.ELOOP
            if not inside or circular:
                assert leaves_tree(link, links), (link, links)
            if inside and followed:
                assert not leaves_tree(link, links), (link, links)


def test_a_link_that_leads_out_through_another_link_is_seen() -> None:
    assert leaves_tree("x", {"deep/er/link": "../..", "x": "deep/er/link/.."})
    assert not leaves_tree("x", {"deep/er/link": "../..", "x": "deep/er/link/a"})
