from dataclasses import replace

import pytest

from branchline.domain.gates import Side
from branchline.domain.gates.parity import parity
from tests.domain.gates.asked import facts

SIDE = Side(frozenset({"TAX"}), {"db": "sqlite:3"}, {"database:db": "f1"})


def judged(here, there, asked=("config", "services", "schema")):
    return parity(facts(parity=asked, source_side=here, target_side=there))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"variables": frozenset({"TAX", "CDN"})},
            "variable CDN is set for store/production only",
        ),
        ({"variables": frozenset()}, "variable TAX is set for store/staging only"),
        ({"services": {}}, "service db (sqlite:3) is declared on store/staging only"),
        (
            {"services": {"db": "sqlite:3", "redis": "redis:7"}},
            "service redis (redis:7) is declared on store/production only",
        ),
        (
            {"services": {"db": "mysql:8"}},
            "service db is sqlite:3 on store/staging and mysql:8 on store/production",
        ),
        (
            {"schemas": {"database:db": "f2"}},
            "the schema of database db on store/production is not the one that store/staging had with the same artifact",
        ),
        ({"schemas": {"database:db": None}}, "nothing tells the schema of database db on store/production"),
        (
            {"schemas": {"database:db": "f1", "database:log": "f1"}},
            "nothing tells what schema database log had on store/staging with the artifact that store/production runs",
        ),
    ],
)
def test_each_difference_is_said_in_words(change, reason):
    verdict = judged(SIDE, replace(SIDE, **change))
    assert (verdict.passed, verdict.reason, verdict.may_open) == (False, reason, False)


def test_all_differences_are_said_at_once():
    reason = judged(SIDE, Side(frozenset(), {}, {"database:db": "f2"})).reason
    assert reason.count("; ") == 2


def test_only_what_is_asked_for_is_compared():
    other = Side(frozenset({"CDN"}), {}, SIDE.schemas)
    assert judged(SIDE, other, asked=("schema",)).passed
    assert not judged(SIDE, other, asked=("config",)).passed
    assert not judged(SIDE, other, asked=("services",)).passed
    assert judged(SIDE, other, asked=()).passed


def test_environments_that_agree_pass_and_say_in_what():
    verdict = judged(SIDE, SIDE)
    assert verdict.passed
    assert verdict.reason == "store/staging and store/production agree in config, services, schema"


def test_a_target_that_runs_nothing_cannot_differ_and_without_a_source_nothing_is_told():
    assert judged(SIDE, None).passed
    assert not parity(facts(parity=("config",), source=None)).passed


def test_a_database_that_only_the_source_has_is_a_matter_of_services():
    assert judged(replace(SIDE, schemas={"database:db": "f1", "database:log": "f9"}), SIDE).passed
