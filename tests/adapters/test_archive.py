"""Archives: the same for the same directory, and harmless whoever made them."""

# names are bytes of any kind, which pathlib does not take
# ruff: noqa: PTH103, PTH109, PTH115, PTH118, PTH120, PTH123

from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
import tarfile

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from branchline.adapters.archive import ArchiveLimits, read_archive, write_archive
from branchline.adapters.tar_format import END, TIME, Kind, Member, decode, encode
from branchline.errors import BadInput, Failed

LIMITS = ArchiveLimits()


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def archived(tree, limits=LIMITS):
    sink = io.BytesIO()
    return write_archive(tree, sink, limits), sink.getvalue()


def extracted(stored, digest, target, limits=LIMITS):
    return read_archive(io.BytesIO(stored), digest, limits, target)


def listing(directory):
    """Everything below a directory that an artifact is to preserve."""
    found = {}
    for parent, directories, files in os.walk(os.fsencode(directory)):
        for name in directories + files:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            key = os.path.relpath(path, os.fsencode(directory))
            if stat.S_ISLNK(mode):
                found[key] = os.readlink(path)
            elif stat.S_ISDIR(mode):
                found[key] = None
            else:
                with open(path, "rb") as file:
                    found[key] = (file.read(), bool(mode & 0o100))
    return found


def fill(directory, names):
    for name, contents in names.items():
        path = os.path.join(os.fsencode(directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(contents)


def test_the_digest_of_a_directory_never_changes(tree):
    """It is written down wherever an artifact is referred to. Another value here needs a new kind of digest."""
    fill(
        tree,
        {
            b"a": b"hello\n",
            b"dir/" + b"long" * 40: b"",
            "dir/é".encode(): b"x" * 513,
            b"dir/\xff" * 30: b"raw",
        },
    )
    (tree / "a").chmod(0o711)
    (tree / "link").symlink_to("dir/nowhere")
    contents, _ = archived(tree)
    assert contents.digest == "sha256:00a25e0e9a5d240b3c715a8fb1f37aac245e543d845fdeb19d1da897921f25c6"
    assert (contents.files, contents.size) == (5, 522)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.binary(min_size=1, max_size=140).filter(
            lambda n: not set(n) & set(b"\0/") and n not in (b".", b"..")
        ),
        st.binary(max_size=2000),
        max_size=6,
    )
)
def test_files_with_any_names_and_bytes_come_back_as_they_were(tmp_path_factory, files):
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("target")
    fill(tree, files)
    fill(tree, {b"below/" + name: contents for name, contents in files.items()})
    contents, stored = archived(tree)
    assert extracted(stored, contents.digest, target) == contents
    assert listing(target) == listing(tree)
    assert archived(target) == (contents, stored)


def test_what_does_not_belong_to_the_contents_does_not_change_the_digest(tree):
    fill(tree, {b"a": b"1", b"b/c": b"2"})
    before, _ = archived(tree)
    os.utime(tree / "a", (1, 1))
    (tree / "a").chmod(0o600)
    (tree / "b").chmod(0o700)
    assert archived(tree)[0] == before


@pytest.mark.parametrize("change", ["byte", "executable", "empty directory", "name"])
def test_what_belongs_to_the_contents_changes_the_digest(tree, change):
    fill(tree, {b"a": b"1"})
    before, _ = archived(tree)
    match change:
        case "byte":
            (tree / "a").write_bytes(b"2")
        case "executable":
            (tree / "a").chmod(0o744)
        case "empty directory":
            (tree / "b").mkdir()
        case "name":
            (tree / "a").rename(tree / "b")
    assert archived(tree)[0].digest != before.digest


def test_hard_links_are_archived_as_files(tree, target):
    fill(tree, {b"a": b"same"})
    os.link(tree / "a", tree / "b")
    contents, stored = archived(tree)
    extracted(stored, contents.digest, target)
    assert listing(target) == {b"a": (b"same", False), b"b": (b"same", False)}


def test_any_tar_program_reads_an_archive(tree, target):
    fill(tree, {b"a": b"hello", b"d/" + b"x" * 150: b"long", b"\xff": b"raw"})
    (tree / "link").symlink_to("./" * 60 + "a")
    _, stored = archived(tree)
    tar = zstandard.ZstdDecompressor().decompressobj().decompress(stored)
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        file.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # Python 3.11.2 has none
        file.extractall(target)
    assert listing(target) == listing(tree)


def make_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "a named pipe"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/etc/passwd"), "an absolute link"),
        (lambda path: path.symlink_to("../etc"), "a link that leaves the tree"),
        (lambda path: path.symlink_to("a/../../x"), "a link that leaves the tree"),
        (
            lambda path: (path.symlink_to("up/.."), (path.parent / "up").symlink_to("a/..")),
            "a link that leaves the tree",
        ),
    ],
)
def test_what_cannot_be_part_of_an_artifact_is_refused_by_name(tree, make, what):
    (tree / "a").mkdir()
    make(tree / "bad")
    with pytest.raises(BadInput, match=f"'bad' in the tree is {what}") as caught:
        archived(tree)
    assert caught.value.number == 420


@pytest.mark.parametrize("link", ["a", "../tree-not/x"[3:], "nowhere", "b/../a", "self", "./././a"])
def test_links_that_stay_in_the_tree_are_kept(tree, target, link):
    fill(tree, {b"a": b"", b"b/c": b""})
    (tree / "self").symlink_to(link)
    contents, stored = archived(tree)
    extracted(stored, contents.digest, target)
    assert os.readlink(target / "self") == link


def test_a_file_that_changes_while_it_is_read_is_an_error(tree):
    fill(tree, {b"a": os.urandom(8 * 2**20)})

    class Growing(io.BytesIO):
        def write(self, data):
            with (tree / "a").open("ab") as file:
                file.write(b"more")
            return super().write(data)

    with pytest.raises(Failed, match="'a' changed while") as caught:
        write_archive(tree, Growing(), LIMITS)
    assert caught.value.number == 421


@pytest.mark.parametrize("limits", [ArchiveLimits(size=9), ArchiveLimits(members=2)])
def test_a_tree_over_the_limits_is_refused_when_it_is_archived_and_when_it_is_read(tree, target, limits):
    fill(tree, {b"a": b"12345", b"b": b"12345", b"c": b""})
    with pytest.raises(BadInput) as caught:
        archived(tree, limits)
    assert caught.value.number == 422
    contents, stored = archived(tree)
    with pytest.raises(Failed, match="more than") as failed:
        extracted(stored, contents.digest, target, limits)
    assert failed.value.number == 423
    assert not listing(target)


def test_a_bomb_is_stopped_by_its_ratio(tree, target):
    fill(tree, {b"zeros": b""})
    os.truncate(tree / "zeros", 200 * 2**20)
    contents, stored = archived(tree)
    assert len(stored) < 200_000
    with pytest.raises(Failed, match="unpacks to more than 10 times"):
        extracted(stored, contents.digest, target, ArchiveLimits(ratio=10))
    assert not listing(target)


def crafted(*entries, tail=END):
    """An attacker's archive with a matching digest: what Branchline writes, but for one trick."""
    tar = io.BytesIO()
    for name, changes, data in entries:
        entry = tarfile.TarInfo(name)
        entry.mtime, entry.size = TIME, len(data)
        entry.mode = {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}.get(changes.get("type"), 0o644)
        for key, value in changes.items():
            setattr(entry, key, value)
        tar.write(entry.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512))
    return sealed(tar.getvalue() + tail)


def sealed(tar):
    return zstandard.ZstdCompressor().compress(tar), f"sha256:{hashlib.sha256(tar).hexdigest()}"


DIRECTORY = {"type": tarfile.DIRTYPE}


def link(to):
    return {"type": tarfile.SYMTYPE, "linkname": to}


def test_a_crafted_archive_without_a_trick_is_read(target):
    """Or the tests below would prove nothing."""
    stored, digest = crafted(
        ("a", DIRECTORY, b""), ("a/file", {}, b"x"), ("b", link("a/file"), b""), ("x" * 150, {}, b"")
    )
    assert extracted(stored, digest, target).files == 3
    assert listing(target)[b"b"] == b"a/file"


TRICKS = {
    "absolute path": ([("/etc/x", {}, b"x")], "absolute path"),
    "parent": ([("../x", {}, b"x")], "contains [.][.]"),
    "parent inside": ([("a", DIRECTORY, b""), ("a/../../x", {}, b"x")], "contains [.][.]"),
    "long parent": ([("../" * 50 + "x", {}, b"x")], "contains [.][.]"),
    "dot": ([("./x", {}, b"x")], "no proper path"),
    "no name": ([("", {}, b"x")], "no proper path"),
    "double slash": ([("a", DIRECTORY, b""), ("a//x", {}, b"x")], "no proper path"),
    "root": ([("/", DIRECTORY, b"")], "no proper path"),
    "absolute link": ([("a", link("/etc"), b"")], "leaves the tree"),
    "link up": ([("a", link("../x"), b"")], "leaves the tree"),
    "link up from below": ([("a", DIRECTORY, b""), ("a/b", link("../../x"), b"")], "leaves the tree"),
    "chain of links": (
        [("a", DIRECTORY, b""), ("a/up", link(".."), b""), ("b", link("a/up/../x"), b"")],
        "leaves",
    ),
    "chain to absolute": ([("a", link("b"), b""), ("b", link("/etc"), b"")], "leaves the tree"),
    "file through a link": (
        [("a", link("b"), b""), ("a/x", {}, b"x"), ("b", DIRECTORY, b"")],
        "below something",
    ),
    "file below a file": ([("a", {}, b""), ("a/x", {}, b"x")], "below something"),
    "file without its directory": ([("a/x", {}, b"x")], "below something"),
    "link, then a file of its name": ([("a", link("b"), b""), ("a", {}, b"x")], "there twice"),
    "duplicate": ([("a", {}, b"1"), ("a", {}, b"2")], "there twice"),
    "wrong order": ([("b", {}, b""), ("a", {}, b"")], "not in its order"),
    "hard link": ([("a", {}, b"x"), ("b", {"type": tarfile.LNKTYPE, "linkname": "a"}, b"")], "a hard link"),
    "device": ([("a", {"type": tarfile.CHRTYPE, "devmajor": 1}, b"")], "a character device"),
    "block device": ([("a", {"type": tarfile.BLKTYPE}, b"")], "a block device"),
    "pipe": ([("a", {"type": tarfile.FIFOTYPE}, b"")], "a named pipe"),
    "contiguous file": ([("a", {"type": tarfile.CONTTYPE}, b"")], "unknown kind"),
    "setuid": ([("a", {"mode": 0o4755}, b"")], "setuid"),
    "sticky directory": ([("a", {**DIRECTORY, "mode": 0o1777}, b"")], "setuid, setgid or sticky"),
    "open to all": ([("a", {"mode": 0o666}, b"")], "not in the form"),
    "owner": ([("a", {"uid": 1000}, b"")], "not in the form"),
    "owner's name": ([("a", {"uname": "ada"}, b"")], "not in the form"),
    "time": ([("a", {"mtime": 1}, b"")], "not in the form"),
    "pax attribute": ([("a", {"pax_headers": {"SCHILY.xattr.user.x": "y"}}, b"")], "not in the form"),
    "huge pax header": ([("a", {"pax_headers": {"comment": "x" * 100_000}}, b"")], "more than 64 KiB"),
    "link with contents": ([("a", link("b"), b"x")], "no file"),
    "link to nothing": ([("a", link(""), b"")], "link to nothing"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_an_archive_with_a_trick_is_refused_though_its_digest_is_right(target, tmp_path, trick):
    entries, reason = TRICKS[trick]
    (tmp_path / "x").write_text("untouched")
    stored, digest = crafted(*entries)
    with pytest.raises(Failed, match=reason) as caught:
        extracted(stored, digest, target)
    assert caught.value.number == 423
    assert not listing(target)
    assert (tmp_path / "x").read_text() == "untouched"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["target", "x"]


def test_links_too_tangled_to_follow_are_refused(target):
    entries = [("a", DIRECTORY, b"")]
    entries += [(f"l{n:05}", link("./" * 1500 + f"l{n + 1:05}"), b"") for n in range(500)]
    stored, digest = crafted(*entries)
    with pytest.raises(Failed, match="leaves the tree"):
        extracted(stored, digest, target)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"", "ends too early"),
        (END[:512], "ends too early"),
        (END[:512] + b"x" * 512, "after its end"),
        (END + b"\0", "after its end"),
        (END + encode(Member(b"z", Kind.FILE)) + END, "after its end"),
        (b"\xff" * 512, "cannot be read|unknown kind"),
    ],
)
def test_an_archive_that_does_not_end_as_it_must_is_refused(target, tail, reason):
    stored, digest = crafted(("a", {}, b"x"), tail=tail)
    with pytest.raises(Failed, match=reason):
        extracted(stored, digest, target)
    assert not listing(target)


def test_padding_that_hides_something_is_refused(target):
    stored, digest = sealed(encode(Member(b"a", Kind.FILE, 1)) + b"x" + b"y" * 511 + END)
    with pytest.raises(Failed, match="hides something"):
        extracted(stored, digest, target)
    assert not listing(target)


def test_another_digest_is_an_error_and_leaves_nothing(tree, target):
    fill(tree, {b"a": b"x"})
    _, stored = archived(tree)
    with pytest.raises(Failed, match="its digest is another") as caught:
        extracted(stored, "sha256:" + "0" * 64, target)
    assert caught.value.number == 424
    assert not listing(target)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_changed_byte_is_an_error_or_changes_nothing(tmp_path_factory, data):
    """A few bits of the compressed form mean nothing; the digest is over the contents."""
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("target")
    fill(tree, {b"a": b"some text that is compressed " * 20, b"b/c": b""})
    contents, stored = archived(tree)
    at = data.draw(st.integers(0, len(stored) - 1))
    changed = stored[:at] + bytes([stored[at] ^ data.draw(st.integers(1, 255))]) + stored[at + 1 :]
    try:
        extracted(changed, contents.digest, target)
    except Failed:
        assert not listing(target)
    else:
        assert listing(target) == listing(tree)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000), st.booleans())
def test_bytes_of_any_kind_are_refused_and_leave_nothing(tmp_path_factory, noise, as_header):
    target = tmp_path_factory.mktemp("target")
    stored, digest = sealed(encode(Member(b"a", Kind.FILE, 600))[:400] + noise if as_header else noise)
    with pytest.raises(Failed):
        extracted(stored, digest, target)
    assert not listing(target)


@given(st.binary(min_size=512, max_size=1536))
def test_a_header_of_any_bytes_is_read_or_refused_and_nothing_else(noise):
    stream = io.BytesIO(noise + END)
    try:
        member = decode(stream.read)
    except Failed as error:
        assert error.number == 423  # noqa: PT017 - it may also be read
    else:
        assert member is None or noise.startswith(encode(member))


def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(target):
    stored, digest = crafted(("a", {}, b""), ("b" * 300, {}, b""))
    with pytest.raises(Failed, match="cannot be written: File name too long") as caught:
        extracted(stored, digest, target)
    assert caught.value.number == 429
    assert not listing(target)
