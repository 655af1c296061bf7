import re
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from branchline.domain.names import (
    check_branch,
    check_environment,
    check_project,
    check_ref,
    environment_id,
    mount_problem,
)
from branchline.errors import BadInput

HOSTILE = [
    "",
    "--upload-pack=x",
    "-",
    "../../etc",
    "a..b",
    "a" * 201,
    "ä" * 101,
    "a\nb",
    "a\x00b",
    "a\x1b[31m",
    "a\u202eb",
    "caf\udce9",
    "HEAD",
    "@",
    "@{-1}",
    "a@{1}",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
    "a b",
    *(f"a{character}b" for character in "{}()*<>&%$;|!?[]~^:\\'\"`#"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_a_command_git_or_a_pattern_would_read_is_refused_in_one_printable_sentence(name):
    for check in (check_ref, check_branch):
        with pytest.raises(BadInput) as refused:
            check(name)
        assert refused.value.message.isprintable()
        assert refused.value.message.isascii()
        assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    "name", ["master", "feature/X_1", "v2.4.7", "umlaut-ä", "a@b", "deadbeef", "1.0+build=3"]
)
def test_ordinary_names_are_given_back(name):
    assert check_ref(name) == check_branch(name) == name


@pytest.mark.parametrize("name", ["refs/heads/x", "a" * 40, "_x", "ärger"])
def test_a_ref_may_be_named_so_and_a_branch_with_an_environment_may_not(name):
    assert check_ref(name) == name
    with pytest.raises(BadInput, match="B111"):
        check_branch(name)


@settings(max_examples=60, deadline=None)
@example("a.lock")
@example("@")
@example("a/@")
@example("ª")
@given(st.text(alphabet=st.sampled_from(".@/-_=+,aBHEADlock9äß中") | st.characters(), max_size=12))
def test_what_passes_is_accepted_by_git(name):
    try:
        check_ref(name)
    except BadInput:
        return
    done = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().strip() == name


@settings(deadline=None)
@given(st.from_regex(re.compile(r"[a-zA-Z0-9][\w./@+=,-]{0,40}"), fullmatch=True))
def test_every_branch_that_may_have_an_environment_gives_it_a_valid_name(name):
    try:
        check_branch(name)
    except BadInput:
        return
    assert check_environment(environment_id(name)) == environment_id(name)


def test_an_environment_is_named_like_its_branch_lower_cased_with_dashes():
    assert environment_id("Feature/New_Checkout 2.0") == "feature-new-checkout-2-0"
    assert environment_id("Ärger") == "-rger"


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "a.b", "..", "a" * 201, "a\n"])
def test_an_environment_that_cannot_exist_is_refused(name):
    with pytest.raises(BadInput, match="B113"):
        check_environment(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "..", "a" * 64, "a_b", "a\n"])
def test_a_project_that_could_not_be_a_directory_is_refused(name):
    with pytest.raises(BadInput, match="B112"):
        check_project(name)
    assert check_project("my-store2") == "my-store2"


@pytest.mark.parametrize(
    "path", ["", "/media", "media/", "../x", "a/../b", "a/./b", "a//b", ".", "a\nb", "a" * 201, "a*", "a:b"]
)
def test_a_mount_stays_inside_the_application(path):
    assert mount_problem(path)


def test_ordinary_mounts_are_fine():
    assert [mount_problem(path) for path in ("media", "pub/media", "app/etc")] == [None] * 3
