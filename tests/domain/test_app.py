import dataclasses
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.domain.app import (
    App,
    Build,
    Checks,
    Commands,
    Cron,
    Hooks,
    HttpCheck,
    Location,
    Mount,
    Relationship,
    Route,
    Service,
    Variables,
    Web,
    Worker,
)
from branchline.domain.app_rules import broken_rules
from branchline.domain.cron import smallest_gap
from branchline.domain.units import parse_duration, parse_size

SOUND = App(
    name="store",
    type="python:3.11",
    hooks=Hooks(deploy="python3 migrate.py"),
    mounts={"media": Mount(), "var/log": Mount()},
    relationships={"database": Relationship("db", "sqlite")},
    web=Web(Commands("python3 serve.py"), {"/": Location(passthru=True)}),
    crons={"reindex": Cron("*/5 * * * *", "python3 reindex.py")},
    checks=Checks(http=(HttpCheck("/health"),)),
    services={"db": Service("sqlite:3")},
    routes={"https://{default}/": Route("upstream", "store:http")},
)


def broken(**change):
    return dict(broken_rules(dataclasses.replace(SOUND, **change)))


def test_a_sound_application_breaks_no_rule():
    assert broken() == {}


def test_migrations_are_exclusive_where_there_are_a_deploy_hook_and_a_database():
    assert SOUND.migrations_kind == "exclusive"
    assert dataclasses.replace(SOUND, hooks=Hooks()).migrations_kind == "none"
    assert dataclasses.replace(SOUND, relationships={}).migrations_kind == "none"
    assert dataclasses.replace(SOUND, migrations="compatible").migrations_kind == "compatible"
    assert dataclasses.replace(SOUND, migrations="none").migrations_kind == "none"


def test_the_databases_are_named_as_the_application_names_them():
    assert SOUND.databases == {"database": Service("sqlite:3")}


def test_a_service_that_there_is_no_adapter_for_is_named_with_what_there_is():
    assert broken(services={"db": Service("oracle:21")}) == {
        (
            "services",
            "db",
            "type",
        ): "oracle:21 is not supported; there is: sqlite:3, postgresql:15, mysql:10.11, mysql:9.7, mariadb:10.11"
    }
    assert ("services", "db", "type") in broken(services={"db": Service("sqlite:2")})
    assert broken(services={"db": Service("sqlite")}) == {}


def test_a_relationship_reaches_a_service_that_exists_by_its_engine():
    assert broken(relationships={"database": Relationship("dbb", "sqlite")}) == {
        ("relationships", "database"): "services.yaml has no service 'dbb'; did you mean db?"
    }
    assert broken(relationships={"database": Relationship("db", "mysql")}) == {
        ("relationships", "database"): "the endpoint of db is sqlite, not mysql"
    }


@pytest.mark.parametrize(
    ("mounts", "where"),
    [
        ({"/media": Mount()}, "/media"),
        ({"../media": Mount()}, "../media"),
        ({"pub": Mount(), "pub/media": Mount()}, "pub/media"),
        ({"pub": Mount(), "pub/": Mount()}, "pub/"),
        ({"pub": Mount(), "pub-x": Mount(), "pub/media/a": Mount()}, "pub/media/a"),
        ({"a": Mount("local", "files"), "b": Mount("local", "files")}, "b"),
    ],
)
def test_a_mount_that_leads_out_or_overlaps_another_is_refused(mounts, where):
    assert ("mounts", where) in broken(mounts=mounts)


def test_mounts_whose_names_only_begin_alike_do_not_overlap():
    assert broken(mounts={"pub": Mount(), "pub-x": Mount(), "public/media": Mount()}) == {}


@pytest.mark.parametrize(
    ("spec", "gap"),
    [
        ("* * * * *", 1),
        ("*/5 * * * *", 5),
        ("*/7 * * * *", 4),
        ("0 3 * * *", 1440),
        ("58 * * * *", 60),
        ("0,58 * * * *", 2),
        ("0,58 3 * * *", 58),
        ("0,59 0,23 * * *", 1),
        ("30 0,12 1 1 *", 720),
    ],
)
def test_the_smallest_gap_of_a_cron_counts_the_turn_of_the_hour_and_of_the_day(spec, gap):
    assert smallest_gap(spec) == gap


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4), st.sets(st.integers(0, 23), min_size=1, max_size=4)
)
def test_the_smallest_gap_is_the_one_that_its_next_times_show(minutes, hours):
    spec = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    times = list(islice(CronSim(spec, datetime(2024, 1, 1, tzinfo=UTC)), len(minutes) * len(hours) + 1))
    assert smallest_gap(spec) == min(
        (after - before).total_seconds() / 60 for before, after in pairwise(times)
    )


@pytest.mark.parametrize(
    "spec",
    ["", "* * * *", "0 * * * * *", "61 * * * *", "x * * * *", "*/0 * * * *", "*/1 * * * *", "*/7 * * * *"],
)
def test_a_cron_that_is_none_or_is_due_too_often_is_refused(spec):
    assert ("crons", "reindex", "spec") in broken(crons={"reindex": Cron(spec, "x")})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"migrations": "exclusive", "hooks": Hooks()}, ("migrations",)),
        ({"migrations": "compatible", "hooks": Hooks(deploy="  \n")}, ("migrations",)),
        ({"migrations": "compatible", "relationships": {}}, ("migrations",)),
        ({"web": Web()}, ("checks", "http")),
        ({"web": Web(Commands("x"), {"media": Location()})}, ("web", "locations", "media")),
        ({"workers": {"queue": Worker(Commands())}}, ("workers", "queue", "commands", "start")),
        ({"crons": {"reindex": Cron("0 * * * *", " ")}}, ("crons", "reindex", "cmd")),
        ({"crons": {"../x": Cron("0 * * * *", "x")}}, ("crons", "../x")),
        ({"checks": Checks(http=(HttpCheck("health"),))}, ("checks", "http", 0, "path")),
        ({"checks": Checks(healthy_for=60, timeout=60)}, ("checks", "healthy_for")),
        ({"routes": {"/": Route("upstream", "store:http")}}, ("routes", "/")),
        ({"routes": {"https://x/": Route("upstream", "other:http")}}, ("routes", "https://x/", "upstream")),
        ({"routes": {"https://x/": Route("upstream")}}, ("routes", "https://x/", "upstream")),
        ({"routes": {"https://x/": Route("redirect")}}, ("routes", "https://x/", "to")),
        ({"variables": Variables({"A-B": "x"})}, ("variables", "env", "A-B")),
        ({"variables": Variables({"BRANCHLINE_ROUTES": "x"})}, ("variables", "env", "BRANCHLINE_ROUTES")),
        ({"variables": Variables({"PORT": "1"})}, ("variables", "env", "PORT")),
        ({"build": Build(tools=("python3; rm x",))}, ("build", "tools", 0)),
        ({"build": Build(tools=("--help",))}, ("build", "tools", 0)),
        ({"build": Build(tools=("/bin/sh",))}, ("build", "tools", 0)),
    ],
)
def test_a_rule_between_keys_that_is_broken_is_placed(change, where):
    assert list(broken(**change)) == [where]


def test_rules_that_read_what_could_not_be_read_are_left_out():
    app = dataclasses.replace(SOUND, services={}, mounts={"/x": Mount()})
    assert [place for place, _ in broken_rules(app, unknown={"services"})] == [("mounts", "/x")]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(30, 30), (1.5, 1.5), ("90s", 90), ("15m", 900), ("2h", 7200), ("14d", 1209600), ("0", 0)],
)
def test_a_duration_is_seconds_or_a_number_with_its_unit(written, seconds):
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "m", "1w", "-1s", "1 h", "1h30m", "٣s", "9" * 10, True, None, [], float("inf"), float("nan")],
)
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(written)


def test_a_size_is_bytes_or_a_whole_number_with_its_unit():
    assert [parse_size(each) for each in (4096, "10MiB", "2 GiB", "7B")] == [4096, 10485760, 2147483648, 7]
    for wrong in ("10MB", "1.5GiB", "-1", True, None):
        with pytest.raises(ValueError, match="must be a size"):
            parse_size(wrong)
