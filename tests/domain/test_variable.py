from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.variable import Variable, at_build, at_run, fingerprint

VALUES = st.dictionaries(st.from_regex(r"[A-Z]{1,5}", fullmatch=True), st.text(max_size=8))


def test_a_build_sees_only_what_is_visible_at_build_time_and_an_operators_value_wins():
    variables = [Variable("A", "operator", at_build=True), Variable("B", "secret", sensitive=True)]
    assert at_build(variables, {"A": "app", "C": "app"}) == {"A": "operator", "C": "app"}


def test_a_running_application_does_not_see_what_is_for_builds_only():
    assert at_run([Variable("A", "x", at_build=True, at_run=False), Variable("env:B", "y")], {}) == {"B": "y"}


def test_a_sensitive_value_is_not_in_its_repr():
    assert "canary" not in repr(Variable("A", "canary", sensitive=True))


@given(VALUES, VALUES)
def test_a_fingerprint_tells_whether_values_changed_and_not_what_they_are(one, other):
    assert (fingerprint(one) == fingerprint(other)) == (one == other)
