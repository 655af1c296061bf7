"""GitRepository against real repositories."""

import os
import stat
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest

from branchline.adapters.git import GitRepository, create_bare
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.ports import SourceRepository
from tests.adapters.git_workshop import Workshop, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return workshop(tmp_path)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


# names


def test_a_branch_a_tag_and_an_abbreviated_id_name_the_same_commit(shop: Workshop) -> None:
    commit = shop.pushed({"a": "1"}, subject="First \x1b[31mred")
    shop.git("tag", "light")
    shop.git("tag", "-a", "v1@2", "-m", "heavy")
    shop.push("--tags")
    source: SourceRepository = shop.repository
    found = source.resolve("master")
    assert found.id == commit
    assert found.tree == shop.git("rev-parse", "HEAD^{tree}")
    assert found.author == "Ada"
    assert found.subject == "First  [31mred"
    for ref in ("refs/heads/master", "light", "v1@2", "refs/tags/v1@2", commit, commit.upper(), commit[:8]):
        assert source.resolve(ref) == found, ref


def test_a_branch_wins_over_a_tag_of_its_name(shop: Workshop) -> None:
    first = shop.pushed({"a": "1"})
    shop.git("tag", "twin")
    second = shop.pushed({"a": "2"}, branch="twin")
    shop.push("refs/tags/twin")
    assert shop.repository.resolve("twin").id == second
    assert shop.repository.resolve("refs/tags/twin").id == first


def test_forty_digits_are_a_commit_even_if_a_branch_has_that_name(shop: Workshop) -> None:
    first = shop.pushed({"a": "1"})
    second = shop.pushed({"a": "2"})
    shop.git("update-ref", f"refs/heads/{first}", second, at=shop.bare)
    assert shop.repository.resolve(first).id == first


@pytest.mark.parametrize("ref", ["nosuch", "deadbeef", "f" * 40, "refs/heads/nosuch", "abc"])
def test_an_unknown_ref_is_said_with_the_branches_there_are(shop: Workshop, ref: str) -> None:
    shop.pushed({"a": "1"})
    with pytest.raises(BadInput, match="no branch, tag or commit") as raised:
        shop.repository.resolve(ref)
    assert "master" in raised.value.hint


@pytest.mark.parametrize(
    "ref",
    [
        "--upload-pack=x",
        "../../etc",
        "x" * 5000,
        "a\udcff",
        "",
        "HEAD",
        "master~1",
        "master^",
        "master:a",
        "@{-1}",
        "a\nb",
    ],
)
def test_what_is_not_a_plain_name_is_refused_before_git_sees_it(shop: Workshop, ref: str) -> None:
    shop.pushed({"a": "1"})
    with pytest.raises(BadInput):
        shop.repository.resolve(ref)
    with pytest.raises(BadInput):
        shop.repository.advance(ref, shop.repository.branches()["master"])


def test_an_empty_repository_says_how_to_push(shop: Workshop) -> None:
    assert dict(shop.repository.branches()) == {}
    with pytest.raises(BadInput, match="is empty") as raised:
        shop.repository.resolve("master")
    assert raised.value.hint.endswith(f"git push {shop.bare} HEAD:master")


def test_an_abbreviation_of_two_commits_is_refused_with_both(shop: Workshop) -> None:
    tree = shop.tree(("100644", b"a", shop.blob(b"1")))
    seen: dict[str, str] = {}
    # 4 digits: of some hundred commits two begin alike; more are made until it is so
    stream = "".join(
        f"commit refs/heads/many\ncommitter A <a@b> {number} +0000\ndata 1\n{'x'}\n\n"
        for number in range(1000)
    )
    shop.git("fast-import", "--quiet", at=shop.bare, stdin=stream.encode())
    for commit in shop.git("rev-list", "many", at=shop.bare).split():
        if commit[:4] in seen:
            break
        seen[commit[:4]] = commit
    with pytest.raises(BadInput, match="is the start of") as raised:
        shop.repository.resolve(commit[:4])
    assert commit in raised.value.message
    assert seen[commit[:4]] in raised.value.message
    assert tree not in raised.value.message


def test_a_tag_of_a_tree_is_no_commit(shop: Workshop) -> None:
    shop.pushed({"a": "1"})
    shop.git("tag", "tree", "HEAD^{tree}")
    shop.push("--tags")
    with pytest.raises(BadInput, match="names no commit"):
        shop.repository.resolve("tree")


def test_a_commit_that_no_branch_has_is_found_by_its_full_id_only(shop: Workshop) -> None:
    gone = shop.pushed({"a": "1"})
    shop.git("checkout", "--quiet", "--orphan", "other")
    shop.pushed({"a": "2"})
    assert shop.repository.resolve(gone).id == gone
    with pytest.raises(BadInput, match="no branch, tag or commit"):
        shop.repository.resolve(gone[:12])


def test_a_directory_that_is_no_repository_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Failed, match="is not a Git repository"):
            GitRepository(path).branches()


def test_variables_of_another_repository_are_not_obeyed(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = shop.pushed({"a": "1"})
    other = tmp_path / "other.git"
    create_bare(other)
    for name in ("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(other))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / "objects"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_NAMESPACE", "elsewhere")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare'='nonsense'")
    assert shop.repository.branches() == {"master": commit}
    assert shop.repository.read(commit, "a") == b"1"
    shop.repository.export(commit, tmp_path / "out")
    shop.repository.advance("next", commit)
    assert set(shop.repository.branches()) == {"master", "next"}
    assert GitRepository(other).branches() == {}
    create_bare(tmp_path / "third.git", shop.bare)
    assert GitRepository(tmp_path / "third.git").branches() == shop.repository.branches()


def test_replaced_objects_do_not_change_what_a_commit_is(shop: Workshop, tmp_path: Path) -> None:
    commit = shop.pushed({"a": "honest"})
    honest, forged = shop.git("rev-parse", "HEAD:a"), shop.blob(b"forged")
    shop.git("replace", honest, forged, at=shop.bare)
    assert shop.repository.read(commit, "a") == b"honest"
    shop.repository.export(commit, tmp_path / "out")
    assert contents(tmp_path / "out") == {"a": b"honest"}


# files


def test_a_file_is_read_at_its_commit(shop: Workshop) -> None:
    first = shop.pushed({".branchline/app.yaml": b"name: \xff\n", "empty": ""})
    second = shop.pushed({".branchline/app.yaml": "name: b\n"})
    read = shop.repository.read
    assert read(first, ".branchline/app.yaml") == b"name: \xff\n"
    assert read(second, ".branchline/app.yaml") == b"name: b\n"
    assert read(second, "empty") == b""
    for missing in ("nosuch", "empty/below", ".branchline", ".branchline/nosuch.yaml"):
        assert read(second, missing) is None, missing


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "", ".", "a\nb", "a\0"])
def test_a_path_that_is_no_path_in_a_repository_is_refused(shop: Workshop, path: str) -> None:
    commit = shop.pushed({"a": "1"})
    with pytest.raises(BadInput, match="no path of a file"):
        shop.repository.read(commit, path)


def test_a_file_over_one_mebibyte_and_a_link_are_not_read(shop: Workshop) -> None:
    (shop.checkout / "link").symlink_to("small")
    commit = shop.pushed({"big": b"x" * ((1 << 20) + 1), "small": b"x" * (1 << 20)})
    assert shop.repository.read(commit, "small") == b"x" * (1 << 20)
    with pytest.raises(BadInput, match="at most 1 MiB"):
        shop.repository.read(commit, "big")
    with pytest.raises(BadInput, match="symbolic link"):
        shop.repository.read(commit, "link")


def test_what_is_not_a_commit_id_is_refused_by_every_reader(shop: Workshop, tmp_path: Path) -> None:
    commit = shop.pushed({"a": "1"})
    tree = shop.git("rev-parse", "HEAD^{tree}")
    source, out = shop.repository, tmp_path / "out"
    for bad in ("master", "--all", commit[:8], tree, "0" * 40):
        for method, *arguments in (
            (source.read, bad, "a"),
            (source.check_tree, bad),
            (source.export, bad, out),
            (source.missing_from, bad, commit),
            (source.missing_from, commit, bad),
            (source.changed_files, bad, commit),
            (source.changed_files, None, bad),
            (source.advance, "master", bad),
        ):
            with pytest.raises(BadInput):
                method(*arguments)
    assert not (tmp_path / "out").exists()


def test_export_gives_the_blobs_byte_for_byte_whatever_the_attributes_say(
    shop: Workshop, tmp_path: Path
) -> None:
    files: dict[str, str | bytes] = {
        ".gitattributes": "* text eol=crlf filter=shout ident\nhidden export-ignore\nversion export-subst\n*.u working-tree-encoding=UTF-16\n",
        "hidden": "still here\n",
        "version": "$Format:%H$\n",
        "ident": "$Id$\n",
        "text.u": "utf-8 text\n",
        "lines": "one\ntwo\n",
        "binary": bytes(range(256)) * 5000,
        "empty": b"",
        "deep/er/file": "x",
        "späce and ünicode": "y",
    }
    shop.git("config", "core.attributesFile", "/dev/null")
    commit = shop.commit({name: content for name, content in files.items() if name != ".gitattributes"})
    blob = shop.git("hash-object", "-w", "--stdin", stdin=files[".gitattributes"].encode())  # type: ignore[union-attr]
    shop.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.gitattributes")
    shop.git("commit", "--quiet", "-m", "attributes")
    commit = shop.git("rev-parse", "HEAD")
    assert shop.push("HEAD:refs/heads/master").accepted
    shop.git("config", "filter.shout.smudge", "tr a-z A-Z", at=shop.bare)
    shop.git("config", "core.autocrlf", "true", at=shop.bare)
    shop.repository.export(commit, tmp_path / "out")
    expected = {
        name: content if isinstance(content, bytes) else content.encode() for name, content in files.items()
    }
    assert contents(tmp_path / "out") == expected


def test_export_keeps_executable_bits_and_links_whatever_the_umask(shop: Workshop, tmp_path: Path) -> None:
    shop.checkout.joinpath("run").write_text("#!/bin/sh\n")
    shop.checkout.joinpath("run").chmod(0o755)
    shop.checkout.joinpath("link").symlink_to("dir/file")
    shop.checkout.joinpath("dir-link").symlink_to("dir")
    commit = shop.pushed({"dir/file": "x"})
    out = tmp_path / "out"
    before = os.umask(0o077)
    try:
        shop.repository.export(commit, out)
    finally:
        os.umask(before)
    assert {
        str(path.relative_to(out)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in out.rglob("*")
        if not path.is_symlink()
    } == {
        "run": "0o755",
        "dir": "0o755",
        "dir/file": "0o644",
    }
    assert (out / "link").readlink() == Path("dir/file")
    assert (out / "dir-link").readlink() == Path("dir")


def test_export_writes_only_into_an_empty_directory(shop: Workshop, tmp_path: Path) -> None:
    commit = shop.pushed({"a": "1"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(Failed, match="is not empty"):
        shop.repository.export(commit, tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine": b"mine"}


def test_a_big_file_is_exported_in_constant_memory(shop: Workshop, tmp_path: Path) -> None:
    with (shop.checkout / "big").open("wb") as big:
        big.truncate(160 << 20)
    commit = shop.commit({})
    subprocess.run(
        ["cp", "-r", *map(str, (shop.checkout / ".git" / "objects").iterdir()), shop.bare / "objects"],
        check=True,
    )
    code = (
        "import sys; from pathlib import Path; from branchline.adapters.git import GitRepository\n"
        "GitRepository(Path(sys.argv[1])).check_tree(sys.argv[2])\n"
        "GitRepository(Path(sys.argv[1])).export(sys.argv[2], Path(sys.argv[3]))\n"
        "status = Path('/proc/self/status').read_text().partition('VmHWM:')[2]\n"  # ru_maxrss begins with the parent's
        "print(int(status.split()[0]) // 1024)"
    )
    peak = subprocess.check_output([sys.executable, "-c", code, shop.bare, commit, tmp_path / "out"])
    assert (tmp_path / "out" / "big").stat().st_size == 160 << 20
    assert int(peak) < 130


def test_a_damaged_repository_is_said_not_exported(shop: Workshop, tmp_path: Path) -> None:
    commit = shop.pushed({"a": "what was committed"})
    blob = shop.git("rev-parse", "HEAD:a")
    loose = shop.bare / "objects" / blob[:2] / blob[2:]
    loose.unlink()
    with pytest.raises(Failed, match="damaged"):
        shop.repository.export(commit, tmp_path / "gone")
    other = shop.blob(b"what was tampered with")
    (shop.bare / "objects" / other[:2] / other[2:]).rename(loose)
    with pytest.raises(Failed, match="damaged"):
        shop.repository.export(commit, tmp_path / "swapped")


# history


def test_what_a_commit_lacks_is_listed_newest_first(shop: Workshop) -> None:
    base = shop.pushed({"a": "1"}, subject="base")
    shop.pushed({"a": "2"}, subject="second")
    tip = shop.pushed({"a": "3"}, subject="third")
    missing = shop.repository.missing_from(base, tip)
    assert [commit.subject for commit in missing] == ["third", "second"]
    assert missing[0] == shop.repository.resolve("master")
    assert shop.repository.missing_from(tip, base) == []
    assert shop.repository.missing_from(tip, tip) == []
    assert shop.repository.missing_from(tip, None) == []


def test_changed_files_names_both_paths_of_a_rename_and_every_path_without_a_before(shop: Workshop) -> None:
    before = shop.pushed({"old name": "same\n" * 50, "kept": "1", "changed": "1"})
    shop.git("mv", "old name", "new name")
    after = shop.pushed({"changed": "2", "späce\x1b": "x"})
    assert shop.repository.changed_files(before, after) == ["changed", "new name", "old name", "späce\\x1b"]
    assert shop.repository.changed_files(after, after) == []
    assert shop.repository.changed_files(None, before) == ["changed", "kept", "old name"]


def test_a_branch_is_made_and_moved_forward_and_left_where_it_is(shop: Workshop) -> None:
    first = shop.pushed({"a": "1"})
    second = shop.pushed({"a": "2"})
    (shop.bare / "hooks" / "reference-transaction").write_text("#!/bin/sh\nexit 1\n")
    (shop.bare / "hooks" / "reference-transaction").chmod(0o755)
    for commit in (first, second, second):
        shop.repository.advance("release/staging", commit)
        assert shop.repository.branches()["release/staging"] == commit


def test_a_move_that_would_lose_commits_is_refused_with_their_number(shop: Workshop) -> None:
    base = shop.pushed({"a": "1"})
    shop.pushed({"a": "2"}, branch="staging")
    tip = shop.pushed({"a": "3"}, branch="staging")
    with pytest.raises(Refused, match="would lose 2 commits") as raised:
        shop.repository.advance("staging", base)
    assert not isinstance(raised.value, BadInput)
    shop.git("checkout", "--quiet", base)
    side = shop.pushed({"b": "1"}, branch="side")
    with pytest.raises(Refused, match="would lose 2 commits"):
        shop.repository.advance("staging", side)
    assert shop.repository.branches()["staging"] == tip


def test_a_branch_below_another_branch_is_refused(shop: Workshop) -> None:
    commit = shop.pushed({"a": "1"}, branch="feature")
    with pytest.raises(BadInput, match="cannot be made"):
        shop.repository.advance("feature/one", commit)
    shop.pushed({"a": "1"}, branch="sprint/one")
    with pytest.raises(BadInput, match="cannot be made"):
        shop.repository.advance("sprint", commit)


def test_a_locked_branch_is_said_with_its_lock(shop: Workshop) -> None:
    first = shop.pushed({"a": "1"})
    second = shop.pushed({"a": "2"}, branch="next")
    lock = shop.bare / "refs" / "heads" / "master.lock"
    lock.touch()
    with pytest.raises(Unavailable, match=r"master\.lock"):
        shop.repository.advance("master", second)
    lock.unlink()
    assert shop.repository.branches()["master"] == first


def test_of_many_who_make_a_branch_at_once_one_wins_and_no_commit_is_lost(shop: Workshop) -> None:
    base = shop.pushed({"a": "base"})
    rivals = []
    for number in range(6):
        shop.git("checkout", "--quiet", base)
        rivals.append(shop.pushed({"a": str(number)}, branch=f"rival-{number}"))
    shop.repository.advance("staging", base)
    start = threading.Barrier(len(rivals))
    ended: list[str] = []

    def move(commit: str) -> None:
        start.wait()
        try:
            shop.repository.advance("staging", commit)
        except (Refused, Unavailable):
            return
        ended.append(commit)

    threads = [threading.Thread(target=move, args=(commit,)) for commit in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [shop.repository.branches()["staging"]]


# making a repository


def test_a_new_bare_repository_is_empty_and_takes_pushes(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    assert shop.git("rev-parse", "--is-bare-repository", at=shop.bare) == "true"
    commit = shop.pushed({"a": "1"})
    assert shop.repository.branches() == {"master": commit}


def test_a_repository_is_made_from_another_one_with_branches_tags_and_its_default_branch(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.pushed({"a": "1"}, branch="main")
    shop.pushed({"a": "2"}, branch="feature/x")
    shop.git("tag", "-a", "v1", "-m", "one")
    shop.push("v1")
    shop.git("symbolic-ref", "HEAD", "refs/heads/main", at=shop.bare)
    for number, source in enumerate((shop.bare, str(shop.bare), f"file://{shop.bare}")):
        made = tmp_path / f"made-{number}.git"
        assert create_bare(made, from_=source) == []
        assert GitRepository(made).branches() == shop.repository.branches()
        assert GitRepository(made).resolve("v1") == shop.repository.resolve("v1")
        assert (made / "HEAD").read_text() == "ref: refs/heads/main\n"
        assert str(shop.bare) not in "".join(
            path.read_text(errors="replace") for path in made.rglob("*") if path.is_file()
        )


def test_branches_that_no_environment_can_be_named_after_are_left_out_and_said(
    shop: Workshop, tmp_path: Path
) -> None:
    commit = shop.pushed({"a": "1"})
    shop.git("update-ref", "refs/heads/we{ird}", commit, at=shop.bare)
    shop.git("update-ref", "refs/heads/a&b", commit, at=shop.bare)
    assert sorted(create_bare(tmp_path / "made.git", shop.bare)) == ["a&b", "we{ird}"]
    assert GitRepository(tmp_path / "made.git").branches() == {"master": commit}


def test_a_repository_is_made_from_an_empty_one(shop: Workshop, tmp_path: Path) -> None:
    create_bare(tmp_path / "made.git", shop.bare)
    assert GitRepository(tmp_path / "made.git").branches() == {}


def test_a_shallow_source_is_refused(shop: Workshop, tmp_path: Path) -> None:
    shop.pushed({"a": "1"})
    shop.pushed({"a": "2"})
    shop.git("clone", "--quiet", "--depth=1", f"file://{shop.bare}", str(tmp_path / "shallow"), at=tmp_path)
    with pytest.raises(Failed, match="shallow"):
        create_bare(tmp_path / "made.git", tmp_path / "shallow")
    assert not (tmp_path / "made.git").exists()


def test_nothing_is_overwritten_and_nothing_half_made_is_left(shop: Workshop, tmp_path: Path) -> None:
    commit = shop.pushed({"a": "1"})
    with pytest.raises(BadInput, match="exists already"):
        create_bare(shop.bare)
    assert shop.repository.branches() == {"master": commit}
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Failed, match="could not be fetched"):
        create_bare(tmp_path / "made.git", from_=shop.checkout / ".git" / "hooks")
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / ".made.git.partial").mkdir()
    (tmp_path / "made.git").mkdir()
    create_bare(tmp_path / "made.git")
    assert not (tmp_path / ".made.git.partial").exists()


def test_a_password_in_a_url_is_in_no_error_and_no_file(tmp_path: Path) -> None:
    url = "https://ada:hunter2%21@127.0.0.1:1/shop.git?private_token=canary"
    with pytest.raises(Failed, match=r"127\.0\.0\.1") as raised:
        create_bare(tmp_path / "made.git", url)
    shown = "".join(traceback.format_exception(raised.value, chain=True)) + repr(raised.value)
    for secret in ("hunter2", "canary", "ada:"):
        assert secret not in shown
    assert list(tmp_path.iterdir()) == []
