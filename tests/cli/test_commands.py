import io
import json

import pytest

from branchline.cli import run
from branchline.domain.activity import Want
from branchline.operation import Request
from tests.workshop.application import application
from tests.workshop.litter import litter


@pytest.fixture
def branchline(home, capsys):
    """Runs a command in the home; gives its exit code and what it printed on both streams."""

    def call(*words):
        with home.opened():
            code = run(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_init_says_where_to_push_and_what_to_run(branchline, home):
    code, out, _ = branchline("init", "other", "--from", str(home.path / "checkout"))
    assert code == 0
    assert "other.git" in out
    assert "branchline deploy other/master" in out


def test_init_of_an_empty_project_waits_for_a_push(branchline):
    assert branchline("init", "empty")[0] == 0
    code, _, err = branchline("deploy", "empty/master")
    assert code == 2
    assert "has no branch 'master'" in err
    assert "git push" in err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("deploy", "nothing/master"), 2),
        (("deploy", "store/nothing"), 2),
        (("deploy", "store/master", "--ref", "--upload-pack=x"), 2),
        (("deploy",), 2),
        (("promote", "staging", "store"), 3),
        (("promote", "production", "store"), 3),
        (("rollback", "store/master"), 3),
        (("sync", "store/production"), 3),
        (("plan", "promote", "moon", "store"), 2),
        (("activity", "show", "a-nothing"), 2),
        (("status", "nothing"), 2),
        (("init", "store"), 2),
        (("init", "Bad Name"), 2),
        (("init", "x", "--plan", "nothing"), 2),
        (("init", "x", "--from", "/nothing/there"), 2),
        (("build", "store", "nothing"), 2),
        (("deactivate", "store/production"), 3),
        (("sanitize", "check", "store/production"), 3),
        (("variable", "set", "store", "1BAD"), 2),
    ],
)
def test_an_error_is_a_sentence_with_a_number_and_the_code_of_its_kind(branchline, home, words, code):
    got, out, err = branchline(*words)
    assert got == code
    assert "Traceback" not in out + err
    assert "[B" in err or "Usage" in err
    with home.opened() as platform:
        assert litter(platform, home) == []


def test_a_failed_hook_is_exit_code_one_and_nothing_changed(branchline, home):
    home.commit(application(2, build="exit 5"))
    home.push()
    code, _, err = branchline("deploy", "store/master")
    assert code == 1
    assert "B404" in err


def test_what_runs_already_is_exit_code_zero(branchline):
    assert branchline("deploy", "store/master")[0] == 0
    code, out, _ = branchline("deploy", "store/master")
    assert code == 0
    assert "skipped" in out


def test_a_held_environment_is_exit_code_four_and_says_who_holds_it(branchline, home):
    with (
        home.opened() as platform,
        platform.operations.run(
            Request("test", "store", "master", [Want("environment:store/master")], "a test", {}, "bea")
        ),
    ):
        code = run(("deploy", "store/master"))
    assert code == 4


def test_each_step_is_shown_as_it_ends(branchline):
    _, _, err = branchline("deploy", "store/master")
    for step in ("preflight", "build or reuse the artifact", "check the candidate", "switch", "finish"):
        assert f"✓ {step}" in err


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "store/master"),
        ("activity", "list"),
        ("build", "store", "master", "--explain"),
        ("plan", "deploy", "store/master"),
        ("deploy", "store/master", "--dry-run"),
        ("variable", "list", "store"),
        ("recover",),
    ],
)
def test_json_is_all_that_a_machine_reads(branchline, words):
    branchline("deploy", "store/master")
    code, out, _ = branchline(*words, "--json")
    assert code == 0
    json.loads(out)


def test_a_plan_that_would_be_refused_is_exit_code_three(branchline):
    code, _, err = branchline("plan", "promote", "staging", "store")
    assert code == 3
    assert "nothing is deployed on store/master" in err


def test_build_explain_lists_the_inputs_of_the_key(branchline):
    code, out, _ = branchline("build", "store", "master", "--explain")
    assert code == 0
    for name in ("tree", "hooks.build", "type", "mounts.media"):
        assert name in out
    assert "it would be built" in out


def test_status_shows_what_runs_and_where_its_data_come_from(branchline):
    branchline("deploy", "store/master")
    _, out, _ = branchline("status", "--json")
    master = json.loads(out)["environments"][0]
    assert (master["environment"], master["status"], master["data"]) == (
        "store/master",
        "active",
        "test, created",
    )


def test_a_variable_is_read_from_standard_input_and_a_sensitive_one_never_shown(branchline, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("canary-value\n"))
    assert branchline("variable", "set", "store", "TOKEN", "--sensitive")[0] == 0
    _, out, _ = branchline("variable", "list", "store", "--json")
    assert json.loads(out) == [{"name": "TOKEN", "value": "[hidden]", "at_build": False, "at_run": True}]
    assert branchline("variable", "delete", "store", "TOKEN")[0] == 0
    assert branchline("variable", "delete", "store", "TOKEN")[0] == 2


def test_a_hooks_output_is_kept_with_its_activity(branchline):
    branchline("deploy", "store/master")
    _, out, _ = branchline("activity", "list", "--json")
    activity = json.loads(out)[0]["id"]
    code, out, _ = branchline("activity", "log", activity)
    assert code == 0
    assert "built" in out


def test_sanitize_suggest_drafts_a_policy_for_every_column_without_a_value(branchline):
    branchline("deploy", "store/master")
    code, out, _ = branchline("sanitize", "suggest", "store/master")
    assert code == 0
    assert "email: email" in out
    assert "harbour.test" not in out


def test_sanitize_preview_shows_masked_rows_only(branchline):
    branchline("deploy", "store/master")
    code, out, _ = branchline("sanitize", "preview", "store/master", "--rows", "2")
    assert code == 0
    assert "example.test" in out
    assert "harbour.test" not in out


def test_sanitize_check_names_what_has_no_decision(branchline, home):
    branchline("deploy", "store/master")
    policy = home.path / "mine.yaml"
    policy.write_text("tables: {}\n")
    code, _, err = branchline("sanitize", "check", "store/master", "--file", str(policy))
    assert code == 3
    assert "people" in err
    assert "mine.yaml:" in err
    assert "sanitize.yaml" not in err


def test_a_policy_extends_the_operators_packs_and_those_of_the_checkout(branchline, home):
    branchline("deploy", "store/master")
    _, draft, _ = branchline("sanitize", "suggest", "store/master")
    packs = home.path / "config" / "sanitization"
    packs.mkdir()
    (packs / "mine.yaml").write_text("tables:" + draft.partition("tables:")[2].partition("files:")[0])
    policy = home.path / "sanitize.yaml"
    policy.write_text("extends: [magento2, mine]\nfiles:" + draft.partition("files:")[2])
    code, _, err = branchline("sanitize", "check", "store/master", "--file", str(policy))
    assert (code, err) == (0, "")
    code, out, _ = branchline("sanitize", "suggest", "store/master", "--extends", "mine")
    assert code == 0
    assert "extends: [mine]" in out
    assert "email: email" not in out
    policy.write_text("extends: [mien]\n")
    code, _, err = branchline("sanitize", "check", "store/master", "--file", str(policy))
    assert code == 2
    assert "did you mean mine?); there are: magento2, mine" in " ".join(err.split())


def test_every_command_explains_itself(branchline):
    for words in ([], ["deploy"], ["promote", "staging"], ["sync"], ["sanitize"], ["activity"], ["plan"]):
        code, out, err = branchline(*words, "--help")
        assert code == 0
        assert "Usage" in out + err
