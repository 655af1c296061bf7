"""An outside repository is followed as if it pushed: with real Git, from a repository on disk."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from branchline.adapters.watched_remote import without_a_secret
from branchline.domain.remote import differences
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.launch import run_flow
from branchline.platform import Platform
from tests.workshop.application import application
from tests.workshop.home import QUIET_GIT, Home
from tests.workshop.litter import version_served
from tests.workshop.pushing import FakeServer, dispatch, in_words, push


@dataclass
class Outside:
    """A repository elsewhere, and the project `store` that follows it."""

    home: Home
    platform: Platform
    path: Path
    server: FakeServer = field(default_factory=FakeServer)

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=os.environ | QUIET_GIT,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout.strip()

    def commit(self, branch: str, files: dict[str, str] | int) -> str:
        """On a branch, which is made; gives the commit."""
        if branch not in self.git("branch", "--format=%(refname:short)").split():
            self.git("branch", branch)
        self.git("switch", "-q", branch)
        made = files if isinstance(files, dict) else application(files, kind="none")
        for name, text in made.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "A change")
        return self.git("rev-parse", "HEAD")

    def follow(self) -> str:
        return run_flow("watch_remote", {"project": "store", "url": str(self.path)})

    def tips(self) -> dict[str, str]:
        return dict(self.platform.repository("store").branches())

    def rows(self) -> list[str]:
        """Of what was followed, the oldest first."""
        found = [each for each in self.platform.store.pushes.recent() if each.pusher == "watch-remote"]
        return in_words(found[::-1])


@pytest.fixture
def outside(home: Home) -> Iterator[Outside]:
    path = home.path / "outside"
    subprocess.run(
        ["git", "clone", "-q", str(home.path / "checkout"), str(path)], check=True, env=os.environ | QUIET_GIT
    )
    with home.opened() as platform:
        yield Outside(home, platform, path)


def test_what_moves_outside_is_deployed_here(outside):
    assert outside.follow() == "nothing has moved"
    commit = outside.commit("master", 2)
    new = outside.commit("feature/x", 3)
    assert outside.follow() == f"followed: feature/x ({new[:12]}), master ({commit[:12]})"
    assert outside.tips() == {"feature/x": new, "master": commit}
    dispatch(outside.platform, outside.server)
    assert version_served(outside.platform, "store/master") == "2"
    assert version_served(outside.platform, "store/feature-x") == "3"
    assert outside.rows() == ["feature/x: done", "master: done"]
    assert outside.follow() == "nothing has moved"


def test_a_forced_push_and_a_deletion_outside_are_followed(outside):
    first = outside.commit("feature", 2)
    outside.commit("feature", 3)
    outside.follow()
    outside.git("reset", "-q", "--hard", first)
    assert "feature" in outside.follow()
    assert outside.tips()["feature"] == first
    outside.git("switch", "-q", "master")
    outside.git("branch", "-D", "feature")
    assert outside.follow() == "followed: feature (deleted)"
    assert "feature" not in outside.tips()


def test_a_branch_may_become_a_folder_of_branches(outside):
    outside.commit("feature", 2)
    outside.follow()
    outside.git("branch", "-m", "feature", "feature/one")
    outside.follow()
    assert outside.tips().keys() == {"feature/one", "master"}
    assert outside.follow() == "nothing has moved"


def test_commits_that_are_only_here_are_never_lost(outside):
    outside.home.commit(application(7))
    assert push(outside.home, "HEAD:master").accepted
    here = outside.tips()["master"]
    assert outside.follow() == "nothing has moved"
    outside.commit("master", 2)
    assert "master has commits here that" in outside.follow()
    assert outside.tips()["master"] == here
    assert outside.rows() == []


def test_protected_branches_never_move_by_it(outside):
    outside.commit("staging", 2)
    assert outside.follow() == "nothing has moved; staging is moved by promotion only"
    assert "staging" not in outside.tips()


def test_a_bad_commit_is_refused_once_with_file_and_key_and_holds_up_no_other(outside):
    good = outside.commit("good", 2)
    bad = outside.commit("bad", {".branchline/app.yaml": "name: tiny\ntype: python:3.11\nnosuchkey: 1\n"})
    with pytest.raises(Refused) as refused:
        outside.follow()
    assert refused.value.number == 183
    assert "- bad: " in refused.value.message
    assert "nosuchkey" in refused.value.message
    assert outside.tips()["good"] == good
    assert "bad" not in outside.tips()
    assert outside.rows() == ["good: waiting"]
    assert f"bad {bad[:12]} is refused, as before" in outside.follow()
    corrected = outside.commit("bad", 3)
    assert outside.follow() == f"followed: bad ({corrected[:12]})"


def test_an_emptied_repository_deletes_nothing(outside):
    outside.follow()
    outside.path.rename(outside.path.with_name("full"))
    outside.path.mkdir()
    outside.git("init", "-q")
    with pytest.raises(Refused) as refused:
        outside.follow()
    assert refused.value.number == 182
    assert "master" in outside.tips()


def test_what_it_remembers_is_not_seen_by_those_who_fetch(outside):
    outside.commit("feature", 2)
    outside.follow()
    listed = outside.git("ls-remote", str(outside.platform.layout.repository("store")))
    assert "refs/branchline" not in listed
    assert not push(outside.home, "HEAD:refs/branchline/x/seen/master").accepted


def test_two_processes_do_not_follow_at_once(outside, monkeypatch):
    entered = []

    def again(*_: object) -> None:
        entered.append(1)
        with pytest.raises(Unavailable) as busy:
            outside.follow()
        assert busy.value.number == 184

    monkeypatch.setattr("branchline.adapters.watched_remote.protected_branches", lambda _: again() or {})
    outside.follow()
    assert entered


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:secret@git.harbour.test/store.git",
        "https://ghp_token@git.harbour.test/store.git",
        "https://git.harbour.test/store.git?access_token=secret",
        "https://git.harbour.test/store.git#secret",
        "ssh://git:secret@git.harbour.test/store.git",
    ],
)
def test_a_url_that_holds_a_secret_is_refused_without_repeating_it(url):
    with pytest.raises(BadInput) as refused:
        without_a_secret(url)
    assert refused.value.number == 181
    assert not {"secret", "ghp_token"} & set(str(refused.value).replace("/", " ").replace("@", " ").split())
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize("url", ["ssh://git@git.harbour.test/store.git", "git@git.harbour.test:store.git"])
def test_the_user_of_an_ssh_url_is_no_secret(url):
    assert without_a_secret(url) == url


def test_a_repository_that_does_not_answer_is_named(outside):
    with pytest.raises(BadInput):
        run_flow("watch_remote", {"project": "store", "url": "ext::sh -c true"})
    with pytest.raises(Failed) as gone:
        run_flow("watch_remote", {"project": "store", "url": "http://127.0.0.1:9/store.git"})
    assert gone.value.number == 170


def test_a_branch_that_was_deleted_here_comes_back_only_when_it_moves_there():
    there, seen = {"a": "2"}, {"a": "2"}
    assert differences({}, seen, there, lambda *_: False) == ([], {})
    ((update,), _) = differences({}, {"a": "1"}, there, lambda *_: False)
    assert (update.old, update.new) == (None, "2")


def test_a_branch_deleted_there_that_moved_on_here_stays():
    updates, conflicts = differences({"a": "3"}, {"a": "2"}, {"b": "1"}, lambda *_: False)
    assert [update.branch for update in updates] == ["b"]
    assert conflicts == {"a": "was deleted there, and has commits of its own here"}
