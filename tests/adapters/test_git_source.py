"""Which sources are fetched from, and what is shown of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.adapters.git_source import source_url, without_secrets
from branchline.errors import BadInput


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.test/shop.git",
        "http://user:secret@git.example.test:8080/shop",
        "ssh://git@git.example.test:22/shop.git",
        "git://git.example.test/shop",
        "file:///srv/shop.git",
        "git@git.example.test:team/shop.git",
        "git.example.test:shop.git",
    ],
)
def test_what_people_clone_from_is_taken_as_it_is(url: str) -> None:
    assert source_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/owned",
        "ext::sh",
        "fd::17",
        "--upload-pack=touch owned",
        "-u",
        "ssh://-oProxyCommand=owned/x",
        "ssh://git@-oProxyCommand=owned/x",
        "-oProxyCommand=owned:x",
        "git@-oProxyCommand=owned:x",
        "https://git.example.test/a\nb",
        "https://[broken/x",
        "gopher://x/y",
        "no-such-directory",
        "",
        "a\0b",
    ],
)
def test_what_is_no_url_or_runs_a_command_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        source_url(url)


def test_a_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-shop.git").mkdir()
    assert source_url("-shop.git") == str(tmp_path / "-shop.git")
    assert source_url(Path("-shop.git")) == str(tmp_path / "-shop.git")
    with pytest.raises(BadInput):
        source_url(tmp_path / "missing")


SECRET = st.text("abcdefghijkmnopqrstuvwxyzABC0123456789%", min_size=8).filter(lambda text: "%" not in text)


@given(SECRET, SECRET, SECRET)
def test_no_part_of_a_url_that_may_be_secret_is_shown(user: str, password: str, token: str) -> None:
    url = f"https://{user}:{password}@git.example.test/shop.git?token={token}#x{token}"
    shown = without_secrets(f"fatal: '{url}' said no to {user}, {password} and {token}", url)
    assert not {user, password, token} & {part for part in (user, password, token) if part in shown}
    assert "https://git.example.test/shop.git" in shown
