"""The push guard, by pushing with real Git from a real checkout; and its rules."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.adapters import git_hooks, push_guard
from branchline.adapters.git import create_bare
from branchline.adapters.push_guard import check_update, protect, protected_branches
from branchline.domain.push import RefUpdate
from branchline.errors import Failed, Refused
from branchline.ports import ProtectedBranch
from tests.adapters.git_workshop import Workshop, workshop

APP = {".branchline/app.yaml": "name: store\ntype: python:3.11\n"}
STAGING = ProtectedBranch("staging", "branchline promote staging store", may_be_created=True)
PRODUCTION = ProtectedBranch("production", "branchline promote production store", may_be_created=False)


def install(repository: Path, protected: list[ProtectedBranch]) -> None:
    """The guard alone: what a push does is tested in test_push_outbox.py."""
    git_hooks.install(repository, protected, {})
    (repository / "hooks/post-receive").unlink()


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    made = workshop(tmp_path)
    install(made.bare, [STAGING, PRODUCTION])
    return made


def refs(shop: Workshop) -> set[str]:
    return set(shop.git("for-each-ref", "--format=%(refname)", at=shop.bare).split())


def test_an_ordinary_branch_is_pushed_moved_forced_and_deleted(shop: Workshop) -> None:
    first = shop.commit(APP)
    shop.commit({"a": "1"})
    assert shop.push("HEAD:refs/heads/feature/x").accepted
    assert shop.push("--force", f"{first}:refs/heads/feature/x").accepted
    assert shop.repository.branches() == {"feature/x": first}
    assert shop.push("HEAD:refs/heads/master").accepted
    assert shop.push("--delete", "feature/x").accepted
    assert refs(shop) == {"refs/heads/master"}


def test_a_protected_branch_is_made_once_and_then_moved_by_promotion_only(shop: Workshop) -> None:
    first = shop.commit(APP)
    assert shop.push("HEAD:refs/heads/staging").accepted
    second = shop.commit({"a": "1"})
    pushed = shop.push("HEAD:refs/heads/staging")
    assert not pushed.accepted
    assert "staging is moved by promotion only." in pushed.said
    assert "next: branchline promote staging store" in pushed.said
    assert shop.repository.branches() == {"staging": first}
    assert shop.push("HEAD:refs/heads/master").accepted
    shop.repository.advance("staging", second)
    assert shop.repository.branches()["staging"] == second


def test_forcing_deleting_and_making_a_protected_branch_are_refused_with_their_reasons(
    shop: Workshop,
) -> None:
    shop.commit(APP)
    shop.commit({"a": "1"})
    tip = shop.commit({"a": "2"})
    assert shop.push("HEAD:refs/heads/staging").accepted
    forced = shop.push("--force", "HEAD~2:refs/heads/staging")
    assert "this push would drop 2 of its commits" in forced.said
    deleted = shop.push("--delete", "staging")
    assert "staging is never deleted by a push" in deleted.said
    made = shop.push("HEAD:refs/heads/production")
    assert "production is made by promotion only" in made.said
    assert "branchline promote production store" in made.said
    assert not any(pushed.accepted for pushed in (forced, deleted, made))
    assert shop.repository.branches() == {"staging": tip}


def test_one_refused_ref_refuses_the_push_and_every_refused_ref_is_listed(shop: Workshop) -> None:
    first = shop.commit(APP)
    assert shop.push("HEAD:refs/heads/staging", "HEAD:refs/heads/master").accepted
    shop.commit({"a": "1"})
    pushed = shop.push(
        "HEAD:refs/heads/staging",
        "HEAD:refs/heads/production",
        "HEAD:refs/heads/feature/good",
        "HEAD:refs/heads/a{b}",
        "HEAD:refs/notes/commits",
    )
    assert not pushed.accepted
    assert "nothing of it was taken" in pushed.said
    for ref in ("refs/heads/staging", "refs/heads/production", "refs/heads/a{b}", "refs/notes/commits"):
        assert f"- {ref}" in pushed.said
    assert "- refs/heads/feature/good" not in pushed.said
    assert shop.repository.branches() == {"staging": first, "master": first}


def test_renaming_a_protected_branch_is_refused_and_renaming_another_is_not(shop: Workshop) -> None:
    shop.commit(APP)
    assert shop.push("HEAD:refs/heads/staging", "HEAD:refs/heads/old").accepted
    assert not shop.push("HEAD:refs/heads/staging-2", ":refs/heads/staging").accepted
    assert shop.push("HEAD:refs/heads/new", ":refs/heads/old").accepted
    assert refs(shop) == {"refs/heads/staging", "refs/heads/new"}


def test_two_branches_never_get_one_environment(shop: Workshop) -> None:
    first = shop.commit(APP)
    assert shop.push("HEAD:refs/heads/feature/x").accepted
    clash = shop.push("HEAD:refs/heads/feature-x")
    assert not clash.accepted
    assert "feature-x would have the environment of feature/x." in clash.said
    both = shop.push("HEAD:refs/heads/one.two", "HEAD:refs/heads/One-Two")
    assert "- refs/heads/one.two" in both.said
    assert "- refs/heads/One-Two" in both.said
    assert shop.push(":refs/heads/feature/x", "HEAD:refs/heads/feature-x").accepted
    assert refs(shop) == {"refs/heads/feature-x"}
    shop.git("update-ref", "refs/heads/feature/x", first, at=shop.bare)
    shop.commit({"a": "1"})
    assert shop.push("HEAD:refs/heads/feature/x").accepted


def test_tags_are_taken_and_other_refs_are_not(shop: Workshop) -> None:
    shop.commit(APP)
    shop.git("tag", "-a", "v1.0", "-m", "one")
    shop.git("tag", "staging")
    assert shop.push("v1.0", "refs/tags/staging").accepted
    assert shop.push("--delete", "v1.0").accepted
    for ref in ("refs/replace/" + "1" * 40, "refs/remotes/origin/x", "refs/branchline/x", "refs/tags/a&b"):
        assert not shop.push(f"HEAD:{ref}").accepted, ref
    assert refs(shop) == {"refs/tags/staging"}


def test_names_that_no_environment_can_have_are_refused_each(shop: Workshop) -> None:
    shop.commit(APP)
    names = ["a&b", "a{b}", "a;touch", "a'b", "a$(b)", "x" * 201, "a" * 40, "Staging"]
    pushed = shop.push(*(f"HEAD:refs/heads/{name}" for name in names))
    assert not pushed.accepted
    for name in names:
        assert f"- refs/heads/{name}" in pushed.said
    assert "would have the environment of staging" in pushed.said
    assert refs(shop) == set()


def test_a_name_that_is_not_utf_8_is_refused(shop: Workshop) -> None:
    shop.commit(APP)
    pushed = shop.push("HEAD:refs/heads/caf\udce9")
    assert not pushed.accepted
    assert "is not UTF-8" in pushed.said


def test_a_badly_named_branch_that_is_there_already_can_be_deleted(shop: Workshop) -> None:
    commit = shop.commit(APP)
    shop.push("HEAD:refs/heads/master")
    shop.git("update-ref", "refs/heads/a&b", commit, at=shop.bare)
    assert shop.push("--delete", "a&b").accepted


def test_a_broken_configuration_is_refused_with_its_file_and_key(shop: Workshop) -> None:
    shop.commit({".branchline/app.yaml": "name: store\ntype: python:3.11\nnosuchkey: 1\nmounts: 7\n"})
    pushed = shop.push("HEAD:refs/heads/feature")
    assert not pushed.accepted
    for word in (".branchline/app.yaml", "nosuchkey", "mounts"):
        assert word in pushed.said
    assert refs(shop) == set()
    shop.commit(APP)
    assert shop.push("HEAD:refs/heads/feature").accepted


def test_a_branch_without_configuration_is_taken_with_a_note(shop: Workshop) -> None:
    shop.commit({"README": "x"})
    pushed = shop.push("HEAD:refs/heads/feature")
    assert pushed.accepted
    assert "feature: there is no .branchline/app.yaml or .magento.app.yaml" in pushed.said


def test_a_tree_that_cannot_be_built_is_refused_by_file(shop: Workshop) -> None:
    (shop.checkout / "passwd").symlink_to("/etc/passwd")
    shop.commit(APP)
    pushed = shop.push("HEAD:refs/heads/feature")
    assert not pushed.accepted
    assert "passwd is a symbolic link out of the tree" in pushed.said


def test_what_a_push_says_cannot_command_a_terminal(shop: Workshop) -> None:
    (shop.checkout / "\x1b]0;owned\x07").write_text("x")
    shop.commit(APP)
    pushed = shop.push("HEAD:refs/heads/feature")
    assert "\\x1b]0;owned\\x07 has control characters" in pushed.said
    assert "\x1b]" not in pushed.said


def test_the_guard_works_for_a_push_out_of_another_hook(shop: Workshop, tmp_path: Path) -> None:
    shop.commit(APP)
    assert shop.push("HEAD:refs/heads/staging").accepted
    create_bare(tmp_path / "mirrored.git")
    for hook in (shop.checkout / ".git/hooks/post-commit", tmp_path / "mirrored.git/hooks/post-receive"):
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(
            f"#!/bin/sh\ngit push {shop.bare} HEAD:refs/heads/staging HEAD:refs/heads/$(basename $0)\n"
        )
        hook.chmod(0o755)
    before = shop.repository.branches()
    done = shop.run("commit", "--allow-empty", "-m", "again")
    assert b"staging is moved by promotion only" in done.stderr
    shop.git("symbolic-ref", "HEAD", "refs/heads/x", at=tmp_path / "mirrored.git")
    done = shop.run("push", str(tmp_path / "mirrored.git"), "HEAD:refs/heads/x")
    assert b"staging is moved by promotion only" in done.stderr
    assert shop.repository.branches() == before
    (shop.checkout / ".git/hooks/post-commit").write_text(
        f"#!/bin/sh\ngit push {shop.bare} HEAD:refs/heads/fine\n"
    )
    commit = shop.commit({"a": "1"})
    assert shop.repository.branches() == before | {"fine": commit}


def test_variables_of_the_pusher_do_not_reach_the_guard(shop: Workshop, tmp_path: Path) -> None:
    shop.commit(APP)
    assert shop.push("HEAD:refs/heads/staging").accepted
    shop.commit({"a": "1"})
    (tmp_path / "branchline").mkdir()
    (tmp_path / "branchline" / "__init__.py").write_text("import os; os._exit(0)")
    (tmp_path / ".gitconfig").write_text("[core]\n\thooksPath = /dev/null\n")
    pushed = shop.push(
        "HEAD:refs/heads/staging",
        PYTHONPATH=str(tmp_path),
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="core.hooksPath",
        GIT_CONFIG_VALUE_0="/dev/null",
    )
    assert not pushed.accepted
    assert "staging is moved by promotion only" in pushed.said


def test_without_its_python_the_guard_takes_nothing_and_says_so_in_one_sentence(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.commit(APP)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "it's gone" / "python"))
    install(shop.bare, [STAGING])
    pushed = shop.push("HEAD:refs/heads/feature")
    assert not pushed.accepted
    said = [line for line in pushed.said.splitlines() if line.startswith("remote:") and line != "remote: "]
    assert len(said) == 1
    assert "its push guard cannot run" in said[0]
    other = tmp_path / "other-python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(other))
    install(shop.bare, [STAGING])
    assert "its push guard cannot run" in shop.push("HEAD:refs/heads/feature").said
    assert refs(shop) == set()


def test_without_a_readable_list_of_protected_branches_nothing_is_taken(shop: Workshop) -> None:
    file = shop.bare / push_guard.PROTECTED_FILE
    for content in (
        "",
        "[]",
        "{}",
        '{"format": 2, "branches": []}',
        '{"format": 1, "branches": [{"name": "x"}]}',
    ):
        file.write_text(content)
        with pytest.raises(Failed, match="protected"):
            protected_branches(shop.bare)
    file.unlink()
    shop.commit(APP)
    pushed = shop.push("HEAD:refs/heads/feature")
    assert not pushed.accepted
    assert "Which branches are protected cannot be read" in pushed.said
    assert "Traceback" not in pushed.said


def test_a_plan_that_changes_protects_other_branches_from_the_next_push_on(shop: Workshop) -> None:
    shop.commit(APP)
    assert shop.push("HEAD:refs/heads/master", "HEAD:refs/heads/staging").accepted
    protect(
        shop.bare, [ProtectedBranch("master", "branchline promote production store", may_be_created=False)]
    )
    shop.commit({"a": "1"})
    assert shop.push("HEAD:refs/heads/staging").accepted
    assert not shop.push("HEAD:refs/heads/master").accepted


def test_installing_again_is_allowed_and_another_hook_is_not_overwritten(shop: Workshop) -> None:
    install(shop.bare, [PRODUCTION])
    assert (
        json.loads((shop.bare / push_guard.PROTECTED_FILE).read_text())["branches"][0]["name"] == "production"
    )
    hook = shop.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(Refused, match="is not Branchline's"):
        install(shop.bare, [STAGING])
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"


# the rules

IDS = st.none() | st.just("1" * 40) | st.just("2" * 40)


@given(IDS, IDS, st.integers(0, 3), st.booleans())
def test_a_protected_branch_that_exists_is_never_changed(
    old: str | None, new: str | None, lost: int, may_be_created: bool
) -> None:
    branch = ProtectedBranch("staging", "branchline promote staging store", may_be_created=may_be_created)
    update = RefUpdate("refs/heads/staging", old, new)
    allowed = old is None and may_be_created
    if allowed:
        check_update(update, {"staging": branch}, lost)
        return
    with pytest.raises(Refused) as raised:
        check_update(update, {"staging": branch}, lost)
    assert raised.value.hint == branch.command
