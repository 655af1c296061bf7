from dataclasses import replace

import pytest

from branchline.domain.freeze import FreezeWindow
from branchline.domain.gates import GATES, HOLDING, OVERRIDABLE, judge, overridden, override_of
from branchline.domain.plan import Approvals
from branchline.errors import BadInput, Refused
from tests.domain.gates.asked import facts, wall

FROZEN = FreezeWindow(
    "Sale", "UTC", wall("2026-07-03 10:00"), wall("2026-07-03 13:00"), may_override=("ann", "ui")
)
CLOSED = {
    "soak": 60.0,
    "verified_on": "staging",
    "approvals": Approvals(1),
    "freezes": (FROZEN,),
    "parity": ("config",),
    "backup_within": 60.0,
    "backups": {"database:db": None},
    "bad": "it hung",
}
EVERY = ("bad-artifact", "soak", "verified", "approval", "freeze", "parity", "backup")


@pytest.mark.parametrize(
    ("way", "gates"),
    [
        ("deploy", EVERY),
        ("promotion", EVERY),
        ("release", EVERY),
        ("redeploy", ("bad-artifact", "freeze")),
        ("rollback", ("bad-artifact",)),
        ("sync", ("freeze",)),
    ],
)
def test_each_way_in_meets_its_gates_and_they_hold(way, gates):
    held = judge(facts(way=way, **CLOSED))
    assert tuple(each.gate for each in held if each.holds) == gates
    assert all(str(each) == f"{each.gate}: {each.reason}" for each in held)


@pytest.mark.parametrize("way", HOLDING)
def test_as_shipped_every_gate_is_open(way):
    assert all(each.passed for each in judge(facts(way=way)))


def test_every_gate_but_the_memory_of_what_failed_can_be_overridden():
    assert set(GATES) - set(OVERRIDABLE) == {"bad-artifact"}


def test_only_time_and_people_open_gates():
    held = judge(facts(**CLOSED))
    assert {each.gate for each in held if each.may_open} == {"freeze"}


def override(actor, given, **rules):
    asked = facts(**(CLOSED | rules))
    return overridden(judge(asked), asked, override_of(given, "it burns"), actor, "ui")


@pytest.mark.parametrize("gate", OVERRIDABLE)
def test_an_override_opens_its_gate_only_and_says_by_whom(gate):
    states = {each.gate: each.state for each in override("ann", [gate])}
    assert states == {each: "overridden" if each == gate else "held" for each in EVERY}


@pytest.mark.parametrize(
    ("actor", "gate", "allowed", "may"),
    [
        ("bob", "soak", None, True),
        ("ui", "soak", None, False),
        ("ui", "soak", ("ui",), True),
        ("bob", "soak", ("ann",), False),
        ("ann", "soak", ("ann",), True),
        ("bob", "soak", (), False),
        ("ann", "freeze", None, True),
        ("bob", "freeze", None, False),
        ("bob", "freeze", ("bob",), False),
        ("ann", "freeze", ("bob",), False),
        ("ui", "freeze", None, False),
        ("ui", "freeze", ("ui",), True),
    ],
)
def test_who_may_override_is_said_by_the_tier_and_narrowed_by_the_freeze(actor, gate, allowed, may):
    if may:
        assert gate in [
            each.gate for each in override(actor, [gate], may_override=allowed) if each.override_by
        ]
    else:
        with pytest.raises(Refused, match=f"{actor} may not override the gate {gate}") as refused:
            override(actor, [gate], may_override=allowed)
        assert refused.value.number == 223


def test_what_passes_anyway_is_not_overridden_whoever_asks():
    asked = facts(may_override=())
    verdicts = overridden(judge(asked), asked, override_of(["soak"], "to be sure"), "bob", "ui")
    assert all(each.passed and each.override_by is None for each in verdicts)


@pytest.mark.parametrize(
    ("names", "reason", "number"),
    [
        (["soak"], None, 220),
        (["soak"], "  ", 220),
        (["moon"], "why", 221),
        (["soak", ""], "why", 221),
        (["bad-artifact"], "why", 222),
    ],
)
def test_an_override_names_gates_and_has_a_reason(names, reason, number):
    with pytest.raises((BadInput, Refused)) as refused:
        override_of(names, reason)
    assert refused.value.number == number
    assert refused.value.hint


def test_no_override_needs_no_reason():
    assert override_of(None, None).gates == override_of([], "of something else").gates == ()


def test_a_verdict_that_was_overridden_holds_no_more():
    held = judge(facts(**CLOSED))[0]
    assert held.holds
    assert not replace(held, override_by="ann").holds
