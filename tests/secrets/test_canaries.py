"""No secret and no original of Production is found in anything that was written, but where it belongs.

What may be where is not listed here: it follows from how a variable was set, and from the policy that the shop has.
"""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest

from tests.secrets.canaries import Canary, Written, search, written
from tests.secrets.conftest import AT_RUN, Day
from tests.secrets.originals import NO_ROOM

pytestmark = pytest.mark.server
ENVIRONMENTS = "home/environments/store"
DATA = "(databases|mounts)/"
OF_PRODUCTION = re.compile(f"{ENVIRONMENTS}/production/{DATA}")
OF_OTHERS = re.compile(f"(home|removed)/environments/store/(staging|master)/{DATA}")
THROWN_AWAY = "removed/environments/store/staging/"
PREVIEWS = re.compile(r"outputs/\d+ sanitize preview ")
Places = Mapping[Canary, Sequence[str]]


@pytest.fixture(scope="session")
def everything(day: Day) -> list[Written]:
    """What the day left, byte for byte."""
    found = [*written(day.home.path), *written(day.prefect), *written(day.removed, "removed/")]
    assert any(each.where.startswith("prefect.db") and b"flow_run" in each.data for each in found)
    return found


@pytest.fixture(scope="session")
def secrets(day: Day, everything: list[Written]) -> Places:
    key = day.secrets["the state's key"].text
    return _by_canary(search(everything, day.secrets.values(), [key[:12]]))


@pytest.fixture(scope="session")
def originals(day: Day, everything: list[Written]) -> Places:
    return _by_canary(search(everything, [each.canary for each in day.planting.planted]))


def test_a_variable_is_in_the_release_files_of_the_environments_that_have_it_and_nowhere_else(
    day: Day, secrets: Places
) -> None:
    for name, environments in AT_RUN.items():
        allowed = re.compile(
            f"{ENVIRONMENTS}/({environments})/releases/d-[0-9a-f]+/(environment|variables.json)"
        )
        places = secrets[day.secrets[name]]
        assert not [where for where in places if not allowed.fullmatch(where)], name
        for environment in environments.split("|"):
            for file in ("environment", "variables.json"):
                assert any(f"/{environment}/" in where and where.endswith(f"/{file}") for where in places)
        for where in places:
            assert stat.S_IMODE((day.home.path / where).stat().st_mode) == 0o600


def test_a_build_visible_variable_is_where_the_build_put_it_and_nowhere_else(
    day: Day, secrets: Places
) -> None:
    places = secrets[day.secrets["BUILD_SECRET"]]
    allowed = re.compile(
        r"home/(trees/[0-9a-f]{64}/baked.txt|artifacts/[0-9a-f]{2}/[0-9a-f]{64}.tar.zst!(baked.txt)?)"
    )
    assert not [where for where in places if not allowed.fullmatch(where)]
    assert {where.split("/")[1] for where in places} == {"trees", "artifacts"}


def test_any_other_secret_is_only_where_the_operator_put_it(day: Day, secrets: Places) -> None:
    placed = {"sanitizing key in a file": ["config/sanitize.key"], "the state's key": ["home/state/key"]}
    rest = day.secrets.keys() - AT_RUN.keys() - {"BUILD_SECRET"}
    assert len(rest) >= 10
    assert {name: list(secrets[day.secrets[name]]) for name in rest} == {
        name: placed.get(name, []) for name in rest
    }


def test_every_column_has_its_canary_or_no_room_for_one(day: Day) -> None:
    assert day.planting.without == set(NO_ROOM)


def test_every_original_is_in_production(day: Day, originals: Places) -> None:
    reindexed = "search_index."  # made anew from the catalogue by each deploy
    missing = [
        each.canary.what
        for each in day.planting.planted
        if not any(OF_PRODUCTION.match(where) for where in originals[each.canary])
        and not each.canary.what.startswith(reindexed)
    ]
    assert missing == []


def test_an_original_is_in_no_other_place_but_where_the_policy_passes_it_on(
    day: Day, originals: Places
) -> None:
    leaks = []
    for each in day.planting.planted:
        wrongly_kept = each.canary.what.startswith("customers.notes ")
        for where in originals[each.canary]:
            passed_on = each.passes and (OF_OTHERS.match(where) or PREVIEWS.match(where))
            by_the_leaking_policy = wrongly_kept and where.startswith(THROWN_AWAY)
            if not OF_PRODUCTION.match(where) and not passed_on and not by_the_leaking_policy:
                leaks.append((each.canary.what, where))
    assert leaks == []


def test_what_the_policy_keeps_reaches_staging(day: Day, originals: Places) -> None:
    """Or the sync did nothing, and the search had nothing to find. The columns are in the test's output."""
    reached = {
        each.canary.what
        for each in day.planting.planted
        if each.passes and any("/staging/" in where for where in originals[each.canary])
    }
    passes = {each.canary.what for each in day.planting.planted if each.passes}
    print("passed on, by the policy:", *sorted(passes), sep="\n  ")
    assert {what for what in passes - reached if not what.startswith("search_index.")} == set()


def test_what_failed_syncs_threw_away_was_searched_as_it_was_then(everything: list[Written]) -> None:
    databases = [
        each for each in everything if each.where.startswith(THROWN_AWAY) and each.where.endswith("/data.db")
    ]
    assert sum(b"order_notes" in each.data and len(each.data) > 50_000 for each in databases) >= 2


def test_other_users_of_the_host_can_read_nothing(day: Day) -> None:
    home = day.home.path / "home"
    private = [home, home / "state", home / "logs", *home.glob("environments/*/*/databases/*/*")]
    private += home.glob("environments/*/*/mounts/*/*")
    assert len(private) > 6
    assert {str(path.relative_to(home)): oct(stat.S_IMODE(path.stat().st_mode)) for path in private} == {
        str(path.relative_to(home)): "0o700" for path in private
    }
    files = [home / "state/key", *home.glob("environments/*/*/databases/*/*/data.db*")]
    files += [path for path in home.glob("environments/*/*/releases/*/*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def _by_canary(found: Sequence[tuple[Canary, str]]) -> Places:
    places: dict[Canary, list[str]] = defaultdict(list)
    for canary, where in found:
        places[canary].append(where)
    return places
