import pytest

from branchline.domain.environment import contents_of_new, may_hold


@pytest.mark.parametrize(
    ("tier", "contents", "allowed"),
    [
        ("production", "raw", True),
        ("production", "sanitized", True),
        ("staging", "raw", False),
        ("integration", "raw", False),
        ("staging", "sanitized", True),
        ("integration", "test", True),
    ],
)
def test_raw_production_data_are_allowed_in_production_only(tier, contents, allowed):
    assert may_hold(tier, contents) is allowed


def test_what_begins_empty_in_production_is_raw_from_the_start():
    assert [contents_of_new(tier) for tier in ("integration", "staging", "production")] == [
        "test",
        "test",
        "raw",
    ]
