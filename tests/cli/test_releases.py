import json

import pytest

from branchline.cli import run
from tests.workshop.application import application
from tests.workshop.home import Home

AT = "2036-12-01 14:00 Europe/Berlin"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Version 1 runs on master."""
    made = Home(tmp_path_factory.mktemp("cli-releases") / "branchline").make()
    made.commit(application(1, kind="none"))
    made.init()
    made.run("deploy_environment", environment="store/master")
    yield made
    made.remove()


@pytest.fixture
def branchline(shop, capsys):
    """Runs a command; gives its exit code and what it printed on both streams."""

    def call(*words):
        with shop.opened():
            code = run(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def asked(branchline):
    """What a command of releases gave as JSON."""

    def call(*words):
        code, out, err = branchline("release", *words, "--json")
        assert code == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def release(asked):
    made = asked("create", "store", "staging", "--at", AT)
    yield made["id"]
    if asked("show", made["id"])["state"] in ("scheduled", "asking"):
        asked("cancel", made["id"], "--reason", "the test is over")


def test_a_release_is_created_and_shown_with_its_local_time_and_its_gates(branchline, release):
    code, out, _ = branchline("release", "show", release[:8])
    assert code == 0
    for said in (
        f"release {release}: promote store/master to store/staging",
        "Mon 2036-12-01 14:00 CET (2036-12-01 13:00 UTC, Europe/Berlin)",
        "Mon 2036-12-01 14:15 CET",
        "its gates now",
        "bad-artifact",
    ):
        assert said in out


def test_open_ones_are_listed(branchline, asked, release):
    code, out, _ = branchline("release", "list", "store/staging")
    assert code == 0
    assert release in out
    assert "store/master -> store/staging" in out
    assert [each["id"] for each in asked("list")] == [release]
    assert asked("list", "other") == []


def test_what_was_cancelled_is_listed_with_all(asked, branchline, release):
    asked("cancel", release, "--reason", "a mistake")
    assert asked("list") == []
    assert release in [each["id"] for each in asked("list", "--all")]
    assert branchline("release", "list")[1].strip() == "no release is open"


def test_it_is_held_and_resumed_with_a_reason(asked, branchline, release):
    held = asked("hold", release, "--reason", "stock [red]taking")
    assert (held["held_by"], held["held_reason"]) == ("ann", "stock [red]taking")
    assert "by ann: stock [red]taking" in " ".join(branchline("release", "show", release)[1].split())
    code, _, err = branchline("release", "run", release)
    assert (code, "held by ann" in err) == (3, True)
    assert asked("resume", release)["held_by"] is None


def test_it_is_moved_and_asks_for_approvals_anew(asked, release):
    moved = asked("schedule", release, "--at", "2036-12-02 9:00", "--late", "skip")
    assert (moved["due"], moved["late"], moved["revision"]) == ("Tue 2036-12-02 09:00 CET", "skip", 2)


def test_a_dry_run_creates_nothing(branchline, asked):
    code, out, _ = branchline("release", "create", "store", "staging", "--at", AT, "--dry-run")
    assert code == 0
    assert "Release from store/master to store/staging" in out
    assert asked("list") == []


def test_nothing_is_due(branchline):
    code, out, _ = branchline("release", "run", "--due")
    assert (code, out.strip()) == (0, "nothing is due")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "store", "staging", "--at", "2020-12-01 14:00 UTC"), 2),
        (("create", "store", "staging", "--at", "2036-12-01 14:00 Mars/Olympus"), 2),
        (("create", "store", "staging"), 2),
        (("create", "nothing", "staging", "--at", AT), 2),
        (("create", "store", "moon", "--at", AT), 2),
        (("create", "store", "production", "--at", AT), 3),
        (("create", "store", "staging", "--at", AT, "--artifact", "ffffffff"), 2),
        (("show", "r-nothing"), 2),
        (("hold", "r-nothing", "--reason", "x"), 2),
        (("schedule", "r-nothing", "--at", AT), 2),
        (("run",), 2),
        (("run", "r-1", "--due"), 2),
        (("run", "r-nothing"), 2),
        (("run", "--due", "--override", "soak", "--reason", "x"), 2),
    ],
)
def test_an_error_is_a_sentence_with_a_number_and_the_code_of_its_kind(branchline, words, code):
    got, out, err = branchline("release", *words)
    assert got == code
    assert "Traceback" not in out + err
    assert "[B" in err or "Usage" in err


def test_a_reason_is_more_than_a_blank(branchline, release):
    code, _, err = branchline("release", "hold", release, "--reason", " ")
    assert (code, "B249" in err) == (2, True)


def test_a_person_runs_one_now(branchline, release):
    code, out, _ = branchline("release", "run", release)
    assert code == 0
    assert f"success release {release}: promote store/master to store/staging" in " ".join(out.split())
