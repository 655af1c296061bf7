"""What holds for artifacts in a directory and in another place that fsspec knows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from branchline.adapters.archive import ArchiveLimits
from branchline.adapters.artifact_store import FileArtifactStore
from branchline.errors import BadInput, Failed, Unavailable

NOWHERE = "sha256:" + "0" * 64


@pytest.fixture(params=["directory", "memory"])
def url(request, tmp_path):
    return str(tmp_path / "store") if request.param == "directory" else f"memory://{uuid.uuid4()}"


@pytest.fixture
def store(url):
    return FileArtifactStore(url)


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "lib").mkdir(parents=True)
    (tree / "lib" / "code.py").write_text("print()\n" * 100)
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    (tree / "link").symlink_to("lib/code.py")
    return tree


def files_in(url):
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(root).strip("/"): files.cat_file(path) for path in files.find(root)}


def overwrite(url, name, data):
    files, root = fsspec.core.url_to_fs(url)
    files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
    files.pipe_file(f"{root}/{name}", data)


def contents_of(tree):
    return {str(p.relative_to(tree)): p.is_symlink() or p.is_dir() or p.read_bytes() for p in tree.rglob("*")}


def test_a_tree_comes_back_as_it_was_put(store, tree, tmp_path):
    archived = store.put(tree)
    assert (archived.files, archived.size) == (3, 810)
    store.extract(archived.digest, tmp_path / "new" / "place")
    assert contents_of(tmp_path / "new" / "place") == contents_of(tree)
    assert os.access(tmp_path / "new" / "place" / "run", os.X_OK)


def test_an_artifact_is_one_file_named_by_its_digest(store, url, tree):
    archived = store.put(tree)
    name = archived.digest.removeprefix("sha256:")
    assert {path: len(data) for path, data in files_in(url).items()} == {
        f"{name[:2]}/{name}.tar.zst": archived.stored_size
    }
    assert store.digests() == [archived.digest]
    assert store.verify(archived.digest) == archived


def test_a_digest_is_announced_before_anything_is_kept_under_it(store, tree):
    announced: list[str] = []

    def announce(digest):
        assert store.digests() == []
        announced.append(digest)

    archived = store.put(tree, announce)
    assert announced == [archived.digest]
    assert store.digests() == announced


def test_what_cannot_be_announced_is_not_kept(store, url, tree):
    class UnwrittenError(Exception):
        pass

    def announce(_):
        raise UnwrittenError

    with pytest.raises(UnwrittenError):
        store.put(tree, announce)
    assert files_in(url) == {}


def test_an_equal_tree_is_stored_once(store, url, tree):
    first = store.put(tree)
    before = files_in(url)
    assert store.put(tree) == first
    assert files_in(url) == before


def test_putting_a_tree_mends_a_damaged_artifact_of_it(store, url, tree):
    archived = store.put(tree)
    [name] = files_in(url)
    overwrite(url, name, b"damaged")
    store.put(tree)
    assert store.verify(archived.digest) == archived


def test_changed_bytes_are_found_whenever_an_artifact_is_read(store, url, tree, tmp_path):
    archived = store.put(tree)
    [(name, data)] = files_in(url).items()
    for changed in (b"", data[: len(data) // 2], data + b"more", data[:50] + b"xxxx" + data[54:]):
        overwrite(url, name, changed)
        with pytest.raises(Failed):
            store.verify(archived.digest)
        with pytest.raises(Failed):
            store.extract(archived.digest, tmp_path / "target")
        assert not list((tmp_path / "target").iterdir())


def test_one_artifact_in_the_place_of_another_is_found(store, url, tree):
    archived = store.put(tree)
    [data] = files_in(url).values()
    (tree / "another").touch()
    other = store.put(tree).digest.removeprefix("sha256:")
    overwrite(url, f"{other[:2]}/{other}.tar.zst", data)
    with pytest.raises(Failed, match="its digest is another"):
        store.verify(f"sha256:{other}")
    assert store.verify(archived.digest) == archived


def test_an_artifact_that_is_gone_is_said_to_be_gone(store, tree, tmp_path):
    archived = store.put(tree)
    store.remove(archived.digest)
    store.remove(archived.digest)
    assert store.digests() == []
    for read in (store.verify, lambda digest: store.extract(digest, tmp_path / "target")):
        with pytest.raises(Failed, match="not in the store") as caught:
            read(archived.digest)
        assert caught.value.number == 425


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:" + "0" * 63, "sha256:../../x", "md5:" + "0" * 64, "0" * 64]
)
def test_what_is_no_digest_is_refused(store, digest, tmp_path):
    for method in (store.verify, store.remove, lambda digest: store.extract(digest, tmp_path / "target")):
        with pytest.raises(BadInput) as caught:
            method(digest)
        assert caught.value.number == 426


def test_a_directory_that_is_not_empty_is_left_alone(store, tree):
    archived = store.put(tree)
    before = contents_of(tree)
    with pytest.raises(BadInput, match="not empty") as caught:
        store.extract(archived.digest, tree)
    assert caught.value.number == 428
    assert contents_of(tree) == before


def test_what_is_refused_leaves_nothing_in_the_store(store, url, tree):
    (tree / "out").symlink_to("/etc")
    with pytest.raises(BadInput):
        store.put(tree)
    assert files_in(url) == {}


def test_limits_hold_for_what_is_put_and_what_is_read(url, store, tree, tmp_path):
    small = FileArtifactStore(url, limits=ArchiveLimits(size=100))
    with pytest.raises(BadInput):
        small.put(tree)
    archived = store.put(tree)
    with pytest.raises(Failed):
        small.extract(archived.digest, tmp_path / "target")


def test_puts_of_one_tree_at_once_give_one_artifact(store, url, tree):
    meet = threading.Barrier(4)

    def put(_):
        meet.wait()
        return store.put(tree)

    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(put, range(4)))
    assert len(results) == 1
    assert len(files_in(url)) == 1
    assert store.verify(results.pop().digest)


def test_other_files_of_the_place_are_no_artifacts(store, url):
    for name in ("aa/note.txt", "aa/short.tar.zst", "other"):
        overwrite(url, name, b"")
    assert store.digests() == []


def test_a_store_that_nothing_was_put_in_is_empty(store):
    assert store.digests() == []
    assert store.sweep() == []
    store.remove(NOWHERE)


def test_a_place_that_cannot_be_written_is_unavailable(tmp_path, tree):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as caught:
        FileArtifactStore(str(tmp_path / "file" / "store")).put(tree)
    assert caught.value.number == 427


@pytest.mark.kill
def test_what_a_killed_put_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path, tree):
    place = tmp_path / "store"
    program = (
        "import sys, os\nfrom pathlib import Path\nfrom branchline.adapters import archive, artifact_store\n"
        "def stuck(*_):\n    print('half way', flush=True)\n    sys.stdin.read()\n"
        "artifact_store.write_archive = stuck\n"
        "artifact_store.FileArtifactStore(sys.argv[1]).put(Path(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, place, tree], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "half way\n"
    store = FileArtifactStore(str(place))
    assert store.sweep() == []
    assert len(list((place / "incoming").iterdir())) == 1
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    assert len(store.sweep()) == 1
    assert not list((place / "incoming").iterdir())
    assert store.put(tree).digest in store.digests()


def test_a_directory_may_be_named_by_its_path_or_its_url(tmp_path, tree):
    by_path = FileArtifactStore(str(tmp_path / "a b"))
    archived = by_path.put(tree)
    assert (
        FileArtifactStore((tmp_path / "a b").as_uri().replace("%20", " ")).verify(archived.digest) == archived
    )
    assert Path(tmp_path / "a b" / archived.digest[7:9]).is_dir()
