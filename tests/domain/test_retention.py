from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from branchline.domain.environment import DataVersion, Deployment
from branchline.domain.retention import kept, releases_to_remove, versions_to_remove

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
DEPLOYMENT = Deployment(
    "d", 1, "deploy", "deployed", "c", "t", "x", "s", False, "a", None, BEGINNING, BEGINNING
)
VERSION = DataVersion("v", 1, "database:db", "test", "created", None, None, "a", BEGINNING)


def deployments(count: int) -> list[Deployment]:
    """The newest first; each has a data version of its own."""
    return [
        replace(
            DEPLOYMENT,
            id=f"d{number}",
            data={"database:db": f"v{number}"},
            deployed_at=BEGINNING + timedelta(number),
        )
        for number in reversed(range(count))
    ]


def versions(count: int) -> list[DataVersion]:
    return [replace(VERSION, id=f"v{number}") for number in range(count)]


@given(st.integers(0, 20), st.integers(1, 8), st.data())
def test_nothing_that_a_kept_deployment_or_a_backup_refers_to_is_removed(count, keep, data):
    all_of_them = deployments(count)
    current = data.draw(st.sampled_from([each.id for each in all_of_them])) if all_of_them else None
    backed_up = data.draw(st.sets(st.sampled_from([f"v{number}" for number in range(count)] or ["v0"])))
    gone = {each.id for each in versions_to_remove(versions(count), all_of_them, current, backed_up, keep)}
    for each in kept(all_of_them, current, keep):
        assert not gone & set(each.data.values())
    assert not gone & backed_up


@given(st.integers(1, 20), st.integers(1, 8))
def test_what_runs_is_kept_however_old_it_is(count, keep):
    all_of_them = deployments(count)
    oldest = all_of_them[-1]
    assert oldest in kept(all_of_them, oldest.id, keep)
    assert oldest not in releases_to_remove(all_of_them, oldest.id, keep)


def test_what_nobody_can_reach_any_more_is_removed():
    all_of_them = deployments(4)
    gone = versions_to_remove(versions(4), all_of_them, "d3", {"v0"}, keep=2)
    assert [each.id for each in gone] == ["v1"]
