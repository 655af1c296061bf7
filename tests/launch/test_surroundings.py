"""The server of `up` is this machine's own, unless others may reach it by a password; and it calls nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from branchline.errors import Refused
from branchline.launch.surroundings import AUTH, ORIGINS, Place, of_joined_server, of_own_server, of_worker

HOME = Path("/srv/branchline/prefect")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.53", "::1"])
def test_on_loopback_no_password_is_needed_and_only_its_own_pages_may_ask(host: str) -> None:
    place = Place(host, 4300)
    made = of_own_server(place, HOME, {})
    origin = place.url.removesuffix("/api")
    assert origin in made[ORIGINS].split(",")
    assert "*" not in made[ORIGINS]
    assert made["PREFECT_SERVER_UI_API_URL"] == place.url == made["PREFECT_API_URL"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "harbour.test", ""])
@pytest.mark.parametrize("given", [{}, {AUTH: "ann:secret"}, {ORIGINS: "https://deploy.harbour.test"}])
def test_where_others_reach_it_password_and_origins_are_asked_for(host: str, given: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        of_own_server(Place(host), HOME, given)
    assert refused.value.number == 356
    assert "secret" not in str(refused.value)
    assert all(name in str(refused.value) for name in {AUTH, ORIGINS} - given.keys())


def test_with_both_it_is_started_and_its_clients_get_the_password() -> None:
    given = {AUTH: "ann:secret", ORIGINS: "https://deploy.harbour.test/,https://other.harbour.test"}
    made = of_own_server(Place("0.0.0.0"), HOME, given)
    assert made["PREFECT_API_AUTH_STRING"] == "ann:secret"
    assert made["PREFECT_SERVER_UI_API_URL"] == "https://deploy.harbour.test/api"
    assert made["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"


def test_it_tells_nobody_that_it_runs_whatever_was_set_before() -> None:
    made = of_own_server(Place(), HOME, {"PREFECT_SERVER_ANALYTICS_ENABLED": "true", "DO_NOT_TRACK": "0"})
    assert (made["PREFECT_SERVER_ANALYTICS_ENABLED"], made["DO_NOT_TRACK"]) == ("false", "1")
    assert made["PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT"] == "false"
    assert of_joined_server({"DO_NOT_TRACK": "0"})["DO_NOT_TRACK"] == "1"


def test_who_starts_it_is_not_who_its_runs_act_for() -> None:
    given = {"BRANCHLINE_ACTOR": "ann", "BRANCHLINE_REQUEST_KEY": "k", "BRANCHLINE_HOME": "/srv/branchline"}
    for made in (of_worker(of_own_server(Place(), HOME, given)), of_worker(of_joined_server(given))):
        assert made["BRANCHLINE_HOME"] == "/srv/branchline"
        assert not {"BRANCHLINE_ACTOR", "BRANCHLINE_REQUEST_KEY"} & made.keys()


def test_an_operators_own_choices_stay() -> None:
    database = "postgresql+asyncpg://prefect@127.0.0.1/prefect"
    given = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database, "PREFECT_WORKER_QUERY_SECONDS": "5"}
    made = of_worker(of_own_server(Place(), HOME, given))
    assert given.items() <= made.items()
    assert made["PREFECT_HOME"] == str(HOME)
