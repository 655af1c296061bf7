"""`branchline ci` without a Prefect server: what a CI job's log, its JUnit file and its exit code say."""

import contextlib
import json
import os
import signal
from xml.etree import ElementTree as ET

import pytest

from branchline.cli import run
from branchline.domain.activity import Want
from branchline.operation import Request
from tests.workshop.application import application
from tests.workshop.litter import litter
from tests.workshop.waiting import until

SLOW = "echo waiting; exec sleep 86400"


@pytest.fixture
def branchline(home, capsys):
    """Runs a command in the home; gives its exit code and what it printed on both streams."""

    def call(*words):
        with home.opened():
            code = run(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def ended(out):
    """The last line of JSON lines."""
    return json.loads(out.splitlines()[-1])


def recent(home):
    with home.opened() as platform:
        return platform.store.activities.recent()


def test_each_line_is_an_object_with_a_time_and_the_last_one_says_how_it_ended(branchline, home):
    code, out, err = branchline("ci", "deploy", "store/master", "--json-lines")
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert all("at" in line for line in lines)
    assert lines[0] | {"at": ""} == {
        "event": "started",
        "at": "",
        "what": "deploy its branch to store/master",
    }
    steps = [line["step"] for line in lines if line["event"] == "done"]
    assert steps[:2] == ["preflight", "build or reuse the artifact"]
    assert steps == [line["step"] for line in lines if line["event"] == "begun"]
    assert ("line", "built") in [(line["event"], line.get("text")) for line in lines]
    assert all(line["seconds"] >= 0 for line in lines if line["event"] == "done")
    assert (lines[-1]["event"], lines[-1]["outcome"], lines[-1]["exit_code"]) == ("ended", "success", 0)
    assert lines[-1]["activity"] == recent(home)[0].id


def test_a_job_that_nothing_is_left_to_do_for_is_skipped_and_exit_code_zero(branchline):
    branchline("ci", "deploy", "store/master")
    code, out, _ = branchline("ci", "deploy", "store/master", "--json-lines")
    assert code == 0
    assert ended(out)["outcome"] == "skipped"


@pytest.mark.parametrize(
    ("words", "code", "outcome", "number"),
    [
        (("deploy", "store/nowhere"), 2, "bad input", 333),
        (("deploy", "nothing"), 2, "bad input", 342),
        (("promote", "staging", "store"), 3, "refused", 206),
        (("build", "store", "nothing"), 2, "bad input", None),
        (("sync", "store/production"), 3, "refused", None),
        (("rollback", "store/master"), 3, "refused", None),
    ],
)
def test_an_error_has_the_commands_own_exit_code_number_and_hint(branchline, words, code, outcome, number):
    got, out, err = branchline("ci", *words, "--json-lines")
    last = ended(out)
    assert (got, last["exit_code"], last["outcome"]) == (code, code, outcome)
    assert number in (None, last["number"])
    assert last["message"]
    assert last["hint"]
    assert f"[B{last['number']}]" in err


def test_a_held_environment_is_exit_code_four(branchline, home):
    wants = [Want("environment:store/master")]
    with (
        home.opened() as platform,
        platform.operations.run(Request("test", "store", "master", wants, "a test", {}, "bea")),
    ):
        assert run(("ci", "deploy", "store/master", "--key", "k")) == 4


def test_people_read_the_steps_their_output_and_the_end(branchline):
    code, out, _ = branchline("ci", "deploy", "store/master")
    assert code == 0
    assert "▸ build or reuse the artifact" in out
    assert "    built" in out
    assert "✓ switch" in out
    assert "success deploy its branch to store/master" in out
    assert "\x1b" not in out


def test_github_folds_the_steps_and_no_hook_can_command_it(branchline, home, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    home.commit(application(2, build="sh build.sh; echo '::set-output name=x::y'"))
    home.push()
    _, out, _ = branchline("ci", "deploy", "store/master")
    lines = out.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert len(token) == 32
    commands, obeyed = True, []
    for line in lines:
        text = line.strip()
        if text == f"::stop-commands::{token}":
            commands = False
        elif text == f"::{token}::":
            commands = True
        elif commands and text.startswith("::"):
            obeyed.append(text)
    assert commands
    assert "::group::build or reuse the artifact" in obeyed
    assert obeyed.count("::endgroup::") == sum(text.startswith("::group::") for text in obeyed)
    assert not [text for text in obeyed if "set-output" in text]
    assert "set-output" in out


def test_a_junit_file_has_a_case_for_each_step_and_the_error_in_the_one_that_failed(
    branchline, home, tmp_path
):
    home.commit(application(2, build="printf 'bad \\001 \\303\\050 byte <&>\\n'; exit 5"))
    home.push()
    path = tmp_path / "reports" / "deploy.xml"
    code, _, _ = branchline("ci", "deploy", "store/master", "--junit", str(path))
    assert code == 1
    (suite,) = ET.parse(path).getroot()
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["preflight", "build or reuse the artifact"]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "0")
    failure = cases["build or reuse the artifact"].find("failure")
    assert "ended with exit code 5" in failure.text
    assert "next: " in failure.text
    assert "byte <&>" in cases["build or reuse the artifact"].findtext("system-out")
    assert cases["preflight"].find("failure") is None


def test_a_junit_file_says_what_was_refused_before_any_step_and_what_was_skipped(branchline, tmp_path):
    path = tmp_path / "junit.xml"
    assert branchline("ci", "deploy", "store/nowhere", "--junit", str(path))[0] == 2
    (case,) = ET.parse(path).getroot()[0]
    assert case.get("name") == "deploy its branch to store/nowhere"
    assert "nowhere" in case.find("failure").get("message")
    branchline("ci", "deploy", "store/master")
    branchline("ci", "deploy", "store/master", "--junit", str(path))
    assert ET.parse(path).getroot()[0].get("skipped") == "1"


def test_a_junit_file_that_cannot_be_written_is_refused_before_anything_begins(branchline, home, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = branchline("ci", "deploy", "store/master", "--junit", str(tmp_path / "file" / "x.xml"))
    assert code == 2
    assert "B293" in err
    assert recent(home) == []


@pytest.mark.parametrize("timeout", ["0s", "soon", "-5"])
def test_a_time_limit_is_a_duration(branchline, timeout):
    code, _, err = branchline("ci", "deploy", "store/master", "--timeout", timeout)
    assert code == 2
    assert "Usage" in err


def test_the_same_key_does_not_deploy_twice(branchline, home):
    words = ("ci", "deploy", "store/master", "--force", "--json-lines", "--key", "pipeline-7")
    first, second = (ended(branchline(*words)[1]) for _ in range(2))
    assert first["activity"] == second["activity"]
    assert (second["outcome"], second["exit_code"]) == ("success", 0)
    assert len(recent(home)) == 1
    other = ended(branchline(*words, "--retry-bad", "other words")[1])
    assert other["activity"] != first["activity"]


def test_the_same_key_does_not_build_twice(branchline, home):
    for _ in range(2):
        assert branchline("ci", "build", "store", "master", "--key", "pipeline-7")[0] == 0
    assert len(recent(home)) == 1


def test_without_a_key_each_job_deploys(branchline, home):
    for _ in range(2):
        branchline("ci", "deploy", "store/master", "--force")
    assert len(recent(home)) == 2


def test_what_failed_is_tried_again_with_the_same_key(branchline, home, tmp_path):
    flag = tmp_path / "branchline" / "flag"
    home.configure({"sandbox": "none"})
    home.commit(application(2, build=f"test -e {flag} && sh build.sh"))
    home.push()
    words = ("ci", "deploy", "store/master", "--key", "k")
    assert branchline(*words)[0] == 1
    flag.write_text("")
    assert branchline(*words)[0] == 0
    assert [each.outcome for each in recent(home)] == ["success", "failure"]


def test_a_release_is_pinned_for_a_time_or_for_now(branchline, home):
    branchline("ci", "deploy", "store/master")
    for at in ((), ("--at", "2126-12-01 14:00 Europe/Berlin")):
        code, out, err = branchline("ci", "release", "store", "staging", *at, "--json-lines")
        assert code == 0, err
        last = ended(out)
        with home.opened() as platform:
            found = platform.store.releases.get(last["release"])
        assert (found.environment, found.state) == ("store/staging", "scheduled")
        assert last["message"].startswith(f"release {found.id}: ")


def test_a_release_that_nothing_would_remember_takes_no_key(branchline):
    code, out, _ = branchline("ci", "release", "store", "staging", "--key", "k", "--json-lines")
    assert (code, ended(out)["number"]) == (2, 294)


@contextlib.contextmanager
def slow_job(home, *options):
    """`ci deploy` in a process of its own, in its build hook."""
    home.commit(application(2, build=SLOW))
    home.push()
    job = home.start("ci", "deploy", "store/master", *options, start_new_session=True)
    try:
        until(lambda: any(each.state == "in progress" for each in recent(home)))
        (activity,) = recent(home)
        with home.opened() as platform:
            log = platform.layout.log(activity.id)
        until(lambda: log.exists() and "waiting" in log.read_text())
        yield job
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def test_a_time_limit_undoes_it_and_says_so(branchline, home):
    home.commit(application(2, build=SLOW))
    home.push()
    code, out, err = branchline("ci", "deploy", "store/master", "--json-lines", "--timeout", "2s")
    assert code == 1
    last = ended(out)
    assert (last["outcome"], last["number"]) == ("failure", 292)
    assert "B292" in err
    (activity,) = recent(home)
    assert (activity.state, activity.committed_at) == ("cancelled", None)
    with home.opened() as platform:
        assert litter(platform, home) == []
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN


def test_a_job_that_its_ci_system_ends_is_undone_and_reports_it(home, tmp_path):
    junit = tmp_path / "junit.xml"
    with slow_job(home, "--json-lines", "--junit", str(junit)) as job:
        job.send_signal(signal.SIGTERM)
        out, _ = job.communicate(timeout=60)
    assert job.returncode == 143
    assert ended(out) | {"at": "", "seconds": 0} == {
        "event": "ended",
        "at": "",
        "outcome": "cancelled",
        "exit_code": 143,
        "seconds": 0,
        "message": "cancelled: SystemExit",
    }
    assert ET.parse(junit).getroot()[0].get("failures") == "1"
    (activity,) = recent(home)
    assert activity.state == "cancelled"
    with home.opened() as platform:
        assert litter(platform, home) == []


def test_a_second_job_with_the_same_key_follows_the_first_and_gives_its_outcome(home):
    release = home.path / "release"
    home.configure({"sandbox": "none"})
    home.commit(
        application(2, build=f"echo waiting; while [ ! -e {release} ]; do sleep 0.05; done; sh build.sh")
    )
    home.push()
    words = ("ci", "deploy", "store/master", "--force", "--json-lines", "--key", "k")
    first, second = None, None
    try:
        first = home.start(*words)
        until(lambda: any(each.state == "in progress" for each in recent(home)))
        second = home.start(*words)
        line = second.stdout.readline()
        while "in progress" not in line:
            assert line, second.stderr.read()
            line = second.stdout.readline()
        release.write_text("")
        outs = [first.communicate(timeout=60)[0], second.communicate(timeout=60)[0]]
    finally:
        for job in (first, second):
            if job is not None:
                job.kill()
                job.communicate()
    assert [job.returncode for job in (first, second)] == [0, 0]
    assert ended(outs[0])["activity"] == ended(outs[1])["activity"]
    assert "switch" in [json.loads(line).get("step") for line in outs[1].splitlines()]
    assert len(recent(home)) == 1
