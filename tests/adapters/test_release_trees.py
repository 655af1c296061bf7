"""The trees of artifacts on a host: once, whole, read-only."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from branchline.adapters.artifact_store import FileArtifactStore
from branchline.adapters.release_trees import ReleaseTrees
from branchline.errors import BadInput, Failed


@pytest.fixture
def store(tmp_path):
    return FileArtifactStore(str(tmp_path / "store"))


@pytest.fixture
def digest(tmp_path, store):
    tree = tmp_path / "built"
    (tree / "lib" / "empty").mkdir(parents=True)
    (tree / "lib" / "code.py").write_text("print()")
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    (tree / "link").symlink_to("lib")
    return store.put(tree).digest


@pytest.fixture
def trees(tmp_path, store):
    return ReleaseTrees(tmp_path / "trees", store)


class Absent:
    """A store that must not be asked."""

    def extract(self, _digest, _directory):
        raise AssertionError("it was extracted again")


def test_a_tree_is_whole_and_nobody_may_write_it(trees, digest, tmp_path):
    tree = trees.at_hand(digest)
    assert tree == tmp_path / "trees" / digest.removeprefix("sha256:")
    assert (tree / "link" / "code.py").read_text() == "print()"
    assert os.access(tree / "run", os.X_OK)
    modes = {path.lstat().st_mode for path in [tree, *tree.rglob("*")] if not path.is_symlink()}
    assert not any(mode & 0o222 for mode in modes)
    assert all(stat.S_IMODE(mode) in (0o555, 0o444) for mode in modes)


def test_a_second_call_copies_no_file(trees, digest, tmp_path):
    tree = trees.at_hand(digest)
    again = ReleaseTrees(tmp_path / "trees", Absent())
    assert again.at_hand(digest) == tree
    assert again.digests() == [digest]


def test_what_the_store_cannot_give_leaves_nothing(trees, digest, store, tmp_path):
    store.remove(digest)
    with pytest.raises(Failed):
        trees.at_hand(digest)
    assert not list((tmp_path / "trees").iterdir())


def test_a_damaged_artifact_leaves_nothing(trees, digest, tmp_path):
    [file] = (tmp_path / "store").glob("??/*.tar.zst")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(Failed):
        trees.at_hand(digest)
    assert not list((tmp_path / "trees").iterdir())


def test_unpacking_at_once_ends_with_one_whole_tree(tmp_path, store, digest):
    meet = threading.Barrier(4)

    class Meeting:
        def extract(self, digest, directory):
            store.extract(digest, directory)
            meet.wait()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ReleaseTrees(tmp_path / "trees", Meeting()).at_hand, [digest] * 4))
    assert len(found) == 1
    assert [entry.name for entry in (tmp_path / "trees").iterdir()] == [found.pop().name]


def test_a_tree_is_removed_though_it_is_read_only_and_once_more_is_fine(trees, digest, tmp_path):
    trees.at_hand(digest)
    trees.remove(digest)
    trees.remove(digest)
    assert trees.digests() == []
    assert not list((tmp_path / "trees").iterdir())
    assert trees.at_hand(digest).is_dir()


def test_a_host_without_trees_has_none(trees, digest):
    assert trees.digests() == []
    assert trees.sweep() == []
    trees.remove(digest)


@pytest.mark.parametrize("digest", ["", "sha256:../x", "sha256:" + "0" * 63, "making"])
def test_what_is_no_digest_is_refused(trees, digest):
    for method in (trees.at_hand, trees.remove):
        with pytest.raises(BadInput) as caught:
            method(digest)
        assert caught.value.number == 426


@pytest.mark.kill
@pytest.mark.parametrize("moment", ["_make_read_only", "_sync_file_system"])
def test_what_a_killed_process_left_is_swept_and_never_taken_for_a_tree(trees, digest, tmp_path, moment):
    program = (
        "import sys\nfrom pathlib import Path\nfrom branchline.adapters import artifact_store, release_trees\n"
        f"real = release_trees.{moment}\n"
        "def stuck(path):\n    real(path)\n    print('half way', flush=True)\n    sys.stdin.read()\n"
        f"release_trees.{moment} = stuck\n"
        "store = artifact_store.FileArtifactStore(sys.argv[1])\n"
        "release_trees.ReleaseTrees(Path(sys.argv[2]), store).at_hand(sys.argv[3])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "store", tmp_path / "trees", digest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "half way\n"
    assert trees.sweep() == []
    assert trees.digests() == []
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    assert trees.digests() == []
    assert len(trees.sweep()) == 1
    assert not list((tmp_path / "trees").iterdir())
    assert trees.at_hand(digest).is_dir()


def test_a_power_cut_cannot_leave_half_a_tree_under_its_name(trees, digest, monkeypatch):
    """The name is given after all else was forced to the disk."""
    order: list[str] = []
    rename = Path.rename
    monkeypatch.setattr("branchline.adapters.release_trees._sync_file_system", lambda _: order.append("sync"))
    monkeypatch.setattr(Path, "rename", lambda path, to: (order.append("rename"), rename(path, to))[1])
    trees.at_hand(digest)
    assert order == ["sync", "rename"]
