import json
import re

import pytest
import yaml

from branchline.cli import run

FREEZE = {
    "reason": "Christmas [sale]",
    "zone": "UTC",
    "from": "2026-01-01 00:00",
    "until": "2126-01-01 00:00",
    "may_override": ["ann"],
}
DEPLOY = ("deploy", "store/master")
PLAN = ("plan", *DEPLOY)


@pytest.fixture
def branchline(home, capsys):
    """Runs a command in the home; gives its exit code and what it printed on both streams."""

    def call(*words):
        with home.opened():
            code = run(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def frozen(home):
    """Nothing is changed on Integration."""
    path = home.path / "config/plans.yaml"
    plans = yaml.safe_load(path.read_text())
    plans["plans"]["pro"]["tiers"]["integration"]["freezes"] = [FREEZE]
    path.write_text(yaml.safe_dump(plans))


def test_a_plan_lists_each_gate_with_its_verdict_and_prints_its_hash(branchline, frozen):
    code, out, err = branchline(*PLAN)
    assert code == 3
    assert re.search(r"^freeze +held +Christmas \[sale\], until Tue 2126-01-01 00:00 UTC", out, re.MULTILINE)
    for gate in ("bad-artifact", "soak", "verified", "approval", "parity", "backup"):
        assert re.search(rf"^{gate} +passed ", out, re.MULTILINE)
    assert re.search(r"^plan [0-9a-f]{12} ", out, re.MULTILINE)
    assert "would be refused: freeze: Christmas [sale]" in err


def test_a_plan_as_json_has_its_gates_and_its_hash(branchline, frozen):
    _, out, _ = branchline(*PLAN, "--json")
    told = json.loads(out)
    assert [each["gate"] for each in told["gates"] if not each["passed"]] == ["freeze"]
    assert re.fullmatch("[0-9a-f]{12}", told["hash"])


def test_the_way_through_a_closed_gate_is_an_override_with_a_reason(branchline, frozen):
    assert branchline(*DEPLOY)[0] == 3
    code, _, err = branchline(*DEPLOY, "--override", "freeze")
    assert (code, "B220" in err) == (2, True)
    code, _, err = branchline(*DEPLOY, "--override", "frieze", "--reason", "why")
    assert (code, "B221" in err) == (2, True)
    code, out, _ = branchline(*DEPLOY, "--override", "freeze", "--reason", "the shop is down")
    assert code == 0
    assert "gate freeze was overridden by ann: the shop is down" in out


def test_a_plan_is_carried_out_once(branchline):
    _, out, _ = branchline(*PLAN, "--json")
    told = json.loads(out)["hash"]
    assert branchline(*DEPLOY, "--plan", told)[0] == 0
    code, _, err = branchline(*DEPLOY, "--plan", told, "--force")
    assert (code, "B224" in err) == (3, True)
    assert branchline(*DEPLOY, "--plan", "moon")[0] == 2
