"""What GitHub and GitLab are sent, and what is made of their answers."""

import json
from dataclasses import replace

import pytest

from branchline.adapters.commit_status import commit_statuses
from branchline.config.secret_places import SecretReference
from branchline.config.settings import CommitStatusTarget
from branchline.domain.announcement import CommitStatus
from branchline.errors import BadInput, Failed, Unavailable
from tests.workshop.listener import listening

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "canary-token-7f3a"
PENDING = CommitStatus(COMMIT, "pending", "branchline/production", "being deployed to store/production")
FAILURE = replace(PENDING, state="failure", target_url="https://ui.test/runs/1")


@pytest.fixture
def listener():
    with listening() as one:
        yield one


@pytest.fixture(params=["github", "gitlab"])
def statuses(request, listener, monkeypatch):
    return told_through(request.param, listener, monkeypatch)


def told_through(kind, listener, monkeypatch, repository="harbour/store"):
    monkeypatch.setenv("A_TOKEN", TOKEN)
    target = CommitStatusTarget(kind, repository, SecretReference(env="A_TOKEN"), f"{listener.url}/api/")
    return commit_statuses(target)


def test_github_gets_the_state_in_its_words(listener, monkeypatch):
    told_through("github", listener, monkeypatch).tell(FAILURE)
    (got,) = listener.got
    assert (got.method, got.path) == ("POST", f"/api/repos/harbour/store/statuses/{COMMIT}")
    assert got.headers["authorization"] == f"Bearer {TOKEN}"
    assert got.headers["accept"] == "application/vnd.github+json"
    assert got.headers["content-type"] == "application/json"
    assert got.body == {
        "state": "failure",
        "context": "branchline/production",
        "description": "being deployed to store/production",
        "target_url": "https://ui.test/runs/1",
    }


def test_gitlab_gets_the_state_in_its_words(listener, monkeypatch):
    told_through("gitlab", listener, monkeypatch, "web/shops/store").tell(FAILURE)
    (got,) = listener.got
    assert (got.method, got.path) == ("POST", f"/api/projects/web%2Fshops%2Fstore/statuses/{COMMIT}")
    assert got.headers["private-token"] == TOKEN
    assert "authorization" not in got.headers
    assert got.body == {
        "state": "failed",
        "name": "branchline/production",
        "description": "being deployed to store/production",
        "target_url": "https://ui.test/runs/1",
    }


def test_without_a_page_to_show_none_is_sent(statuses, listener):
    statuses.tell(PENDING)
    assert "target_url" not in listener.got[0].body
    assert listener.got[0].body["state"] == "pending"


def test_a_description_is_one_line_and_as_long_as_they_take(statuses, listener):
    statuses.tell(replace(PENDING, description="why\n" * 200))
    description = listener.got[0].body["description"]
    assert len(description) <= 255
    assert "\n" not in description
    assert description.endswith("...")


@pytest.mark.parametrize(
    ("status", "error", "number"),
    [
        (500, Unavailable, 288),
        (502, Unavailable, 288),
        (429, Unavailable, 288),
        (301, Failed, 289),
        (400, Failed, 289),
        (401, Failed, 289),
        (403, Failed, 289),
        (404, Failed, 289),
        (422, Failed, 289),
    ],
)
def test_a_no_is_an_error_that_says_which_without_the_token(statuses, listener, status, error, number):
    listener.answers = [(status, json.dumps({"message": f"your token {TOKEN} is no good"}))]
    with pytest.raises(error) as raised:
        statuses.tell(FAILURE)
    assert raised.value.number == number
    assert str(status) in str(raised.value)
    assert TOKEN not in everything(raised.value)
    assert len(listener.got) == 1


def test_who_does_not_answer_is_not_waited_for(statuses, listener):
    listener.answers = [None]
    with pytest.raises(Unavailable) as raised:
        replace(statuses, timeout=0.2).tell(FAILURE)
    assert raised.value.number == 288
    assert "ReadTimeout" in str(raised.value)
    assert TOKEN not in everything(raised.value)


def test_who_is_not_there_is_said(monkeypatch):
    with listening() as gone:
        pass
    with pytest.raises(Unavailable, match="ConnectError"):
        told_through("github", gone, monkeypatch).tell(FAILURE)


def test_gitlab_saying_that_it_is_so_already_is_success(listener, monkeypatch):
    listener.answers = [(400, '{"message": "Cannot transition status via :drop from :failed"}')]
    told_through("gitlab", listener, monkeypatch).tell(FAILURE)


@pytest.mark.parametrize("token", ["", "  \n", "two\nlines", "a b", "schlüssel", "\x00x"])
def test_what_can_be_no_token_is_refused_before_it_is_sent_and_not_repeated(listener, tmp_path, token):
    file = tmp_path / "token"
    file.write_text(token)
    target = CommitStatusTarget("github", "a/b", SecretReference(file=file), listener.url)
    with pytest.raises(BadInput, match=str(file)) as raised:
        commit_statuses(target).tell(FAILURE)
    assert raised.value.number == 290
    assert not token.strip() or token not in everything(raised.value)
    assert listener.got == []


def test_a_token_file_is_read_each_time(listener, tmp_path):
    file = tmp_path / "token"
    statuses = commit_statuses(CommitStatusTarget("gitlab", "a/b", SecretReference(file=file), listener.url))
    for token in ("first", "second"):
        file.write_text(f"{token}\n")
        statuses.tell(PENDING)
    assert [got.headers["private-token"] for got in listener.got] == ["first", "second"]


def everything(error):
    """All that a traceback of it could show."""
    return " ".join(map(repr, (error, error.args, error.__cause__, vars(error))))
