import pytest

from branchline.domain.gates.bad_artifact import bad_artifact
from tests.domain.gates.asked import facts


@pytest.mark.parametrize(
    ("given", "passed", "reason"),
    [
        ({}, True, "artifact aaaaaaaaaaaa is not known to fail on store/production"),
        ({"digest": None}, True, "it was never built, so it never failed"),
        (
            {"bad": "it hung"},
            False,
            "artifact aaaaaaaaaaaa failed here before: it hung (try it again with --retry-bad REASON)",
        ),
    ],
)
def test_what_failed_here_is_held_until_it_is_lifted(given, passed, reason):
    verdict = bad_artifact(facts(**given))
    assert (verdict.passed, verdict.reason, verdict.may_open) == (passed, reason, False)
