import sqlite3

import pytest

from branchline.errors import BadInput, Refused
from branchline.steps.promote import environment_at
from tests.workshop.application import application
from tests.workshop.litter import litter, schema_served, version_served

MASTER = "store/master"


def deploy(home, version, **asked):
    home.commit(application(version, **asked))
    home.push()
    return home.run("deploy_environment", environment=MASTER)


def write(home, email):
    with home.opened() as platform:
        environment = environment_at(platform, MASTER)
        version = platform.current(environment).data["database:db"]
        path = platform.database(environment, "db").relationship(version)["path"]
        with sqlite3.connect(path) as database:
            database.execute("INSERT INTO people (email) VALUES (?)", (email,))


def people(home):
    with home.opened() as platform:
        environment = environment_at(platform, MASTER)
        version = platform.current(environment).data["database:db"]
        path = platform.database(environment, "db").relationship(version)["path"]
        with sqlite3.connect(path) as database:
            return {email for (email,) in database.execute("SELECT email FROM people")}


def test_code_goes_back_at_once_and_keeps_what_was_written_since(home):
    deploy(home, 1)
    deploy(home, 2)
    write(home, "new@harbour.test")
    assert home.run("roll_back_environment", environment=MASTER).outcome == "success"
    with home.opened() as platform:
        assert version_served(platform, MASTER) == "1"
        assert litter(platform, home) == []
    assert "new@harbour.test" in people(home)


def test_old_code_never_meets_a_newer_schema_unless_writes_are_discarded(home):
    deploy(home, 1)
    deploy(home, 2, schema=2)
    write(home, "new@harbour.test")
    with pytest.raises(Refused, match="would lose what was written since"):
        home.run("roll_back_environment", environment=MASTER)
    home.run("roll_back_environment", environment=MASTER, discard_writes=True)
    with home.opened() as platform:
        assert (version_served(platform, MASTER), schema_served(platform, MASTER)) == ("1", 1)
    assert "new@harbour.test" not in people(home)


def test_a_compatible_migration_is_kept_by_a_rollback(home):
    deploy(home, 1, kind="compatible")
    deploy(home, 2, kind="compatible", schema=2)
    with home.opened() as platform:
        before = platform.current(environment_at(platform, MASTER)).data
    home.run("roll_back_environment", environment=MASTER)
    with home.opened() as platform:
        assert version_served(platform, MASTER) == "1"
        assert platform.current(environment_at(platform, MASTER)).data == before


def test_a_rollback_to_a_named_deployment(home):
    deploy(home, 1)
    with home.opened() as platform:
        first = platform.current(environment_at(platform, MASTER)).id
    deploy(home, 2)
    home.run("roll_back_environment", environment=MASTER, to=first[:6])
    with home.opened() as platform:
        assert version_served(platform, MASTER) == "1"
    with pytest.raises(BadInput, match="no single deployment"):
        home.run("roll_back_environment", environment=MASTER, to="d-nothing")


def test_there_is_nothing_to_go_back_to_after_one_artifact(home):
    deploy(home, 1)
    with pytest.raises(Refused, match="no other artifact"):
        home.run("roll_back_environment", environment=MASTER)
