import sqlite3

import pytest

from branchline.errors import BadInput, Failed, Refused
from branchline.steps.preview import preview_sync
from branchline.steps.promote import environment_at
from branchline.steps.summary import columns_of, facts_of
from tests.workshop.application import application
from tests.workshop.litter import litter, schema_served, version_served

STAGING = "store/staging"
ORIGINALS = {"ann@harbour.test", "bob@harbour.test"}


@pytest.fixture
def running(home):
    """Version 1 runs everywhere; Production has two people of its own and an upload."""
    home.run("deploy_environment", environment="store/master")
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")
    with home.opened() as platform:
        production = environment_at(platform, "store/production")
        version = platform.store.deployments.version(platform.current(production).data["mount:media"])
        (platform.layout.mount(production, version) / "picture.txt").write_text("public")
    return home


def people(home, path):
    with home.opened() as platform:
        environment = environment_at(platform, path)
        version = platform.current(environment).data["database:db"]
        with sqlite3.connect(platform.database(environment, "db").relationship(version)["path"]) as database:
            return {email for (email,) in database.execute("SELECT email FROM people")}


def test_staging_gets_productions_rows_masked_and_keeps_its_code(running):
    with running.opened() as platform:
        before = platform.current(environment_at(platform, STAGING))
    summary = running.run("sync_data", environment=STAGING)
    assert summary.outcome == "success"
    after_sync = people(running, STAGING)
    assert len(after_sync) == 2
    assert not after_sync & ORIGINALS
    assert all(email.endswith("@example.test") for email in after_sync)
    with running.opened() as platform:
        after = platform.current(environment_at(platform, STAGING))
        assert (after.digest, after.commit) == (before.digest, before.commit)
        assert {platform.store.deployments.version(each).contents for each in after.data.values()} == {
            "sanitized"
        }
        assert litter(platform, running) == []


def test_a_version_knows_where_its_data_came_from(running):
    running.run("sync_data", environment=STAGING)
    with running.opened() as platform:
        source, target = (
            platform.current(environment_at(platform, each)) for each in ("store/production", STAGING)
        )
        for slot, version in target.data.items():
            assert platform.store.deployments.version(version).parent_id == source.data[slot]


def test_files_follow_their_rules(running):
    running.run("sync_data", environment=STAGING)
    with running.opened() as platform:
        staging = environment_at(platform, STAGING)
        version = platform.store.deployments.version(platform.current(staging).data["mount:media"])
        assert (platform.layout.mount(staging, version) / "picture.txt").read_text() == "public"


def test_a_column_without_a_decision_stops_the_sync_with_the_line_to_paste(running):
    alter(running, "ALTER TABLE people ADD COLUMN nickname TEXT")
    before = people(running, STAGING)
    with pytest.raises(Refused, match="nickname") as refused:
        running.run("sync_data", environment=STAGING)
    assert "nickname:" in refused.value.message
    assert people(running, STAGING) == before


def test_a_table_without_a_decision_stops_the_sync(running):
    alter(running, "CREATE TABLE secrets (id INTEGER PRIMARY KEY, value TEXT)")
    with pytest.raises(Refused, match="secrets"):
        running.run("sync_data", environment=STAGING)


def test_a_policy_of_another_commit_can_be_used(running):
    alter(running, "ALTER TABLE people ADD COLUMN nickname TEXT")
    files = dict(application(2))
    files[".branchline/sanitize.yaml"] = files[".branchline/sanitize.yaml"].replace(
        "      email: email\n", "      email: email\n      nickname: first_name\n"
    )
    running.commit(files)
    running.push()
    assert running.run("sync_data", environment=STAGING, policy_ref="master").outcome == "success"


def test_an_original_that_came_along_fails_the_sync_and_staging_stays(running):
    alter(
        running, "ALTER TABLE people ADD COLUMN c2 TEXT", "UPDATE people SET c2 = 'write to bob@harbour.test'"
    )
    leaking = dict(application(2, schema=2))
    running.commit(leaking)
    running.push()
    before = people(running, STAGING)
    with pytest.raises(Failed, match=r"people\.c2") as failed:
        running.run("sync_data", environment=STAGING, policy_ref="master")
    assert "harbour.test" not in str(failed.value)
    assert people(running, STAGING) == before
    with running.opened() as platform:
        assert litter(platform, running) == []


def test_data_are_never_copied_up(running):
    with pytest.raises(Refused, match="never go up"):
        running.run("sync_data", environment="store/production")
    with pytest.raises(Refused, match="go down only"):
        running.run("sync_data", environment=STAGING, source="master")
    with pytest.raises(Refused, match="go down only"):
        running.run("sync_data", environment=STAGING, source="staging")


def test_integration_gets_sanitized_data_too(running):
    running.run("sync_data", environment="store/master")
    assert not people(running, "store/master") & ORIGINALS


def test_newer_code_on_staging_migrates_the_data_it_gets(running):
    running.commit(application(2, schema=2))
    running.push()
    running.run("deploy_environment", environment="store/master")
    running.run("promote_to_staging", project="store")
    running.run("sync_data", environment=STAGING)
    with running.opened() as platform:
        assert (version_served(platform, STAGING), schema_served(platform, STAGING)) == ("2", 2)


def test_the_report_says_what_was_done_to_each_column(running):
    summary = running.run("sync_data", environment=STAGING)
    with running.opened() as platform:
        report = platform.store.deployments.sync_report(summary.activity)
    table = report["databases"]["db"]["tables"][0]
    assert (table["name"], table["rows"], report["databases"]["db"]["leaks"]) == ("people", 2, 0)
    assert {column["name"]: column["mask"] for column in table["columns"]} == {"id": "keep", "email": "email"}
    assert report["databases"]["db"]["key"] == ""


def test_a_configured_key_gives_the_same_values_in_every_sync(running):
    key = running.path / "key"
    key.write_text("0123456789abcdef0123456789abcdef")
    running.configure({"sanitize_key": {"file": str(key)}})
    running.run("sync_data", environment=STAGING)
    first = people(running, STAGING)
    running.run("sync_data", environment=STAGING)
    assert people(running, STAGING) == first
    running.configure({})
    running.run("sync_data", environment=STAGING)
    assert people(running, STAGING) != first


def test_a_key_that_is_configured_and_missing_is_not_replaced_by_another(running):
    running.configure({"sanitize_key": {"file": str(running.path / "nothing")}})
    with pytest.raises(Failed, match="sanitizing key"):
        running.run("sync_data", environment=STAGING)


def test_without_a_policy_nothing_leaves_production(home):
    files = dict(application(1))
    del files[".branchline/sanitize.yaml"]
    home.commit(files)
    home.push()
    home.run("deploy_environment", environment="store/master")
    home.run("promote_to_staging", project="store")
    home.run("promote_to_production", project="store")
    with pytest.raises(BadInput, match="nothing says what may leave"):
        home.run("sync_data", environment=STAGING)


def test_a_preview_says_what_would_be_copied_from_where(running):
    preview = running.run("sync_data", environment=STAGING, dry_run=True)
    assert "data go down, sanitized; no code does" in preview.sentence
    assert dict(preview.facts)["columns"] == "1 masked, 1 kept"
    assert preview.against == []


def alter(home, *statements):
    with home.opened() as platform:
        production = environment_at(platform, "store/production")
        version = platform.current(production).data["database:db"]
        with sqlite3.connect(platform.database(production, "db").relationship(version)["path"]) as database:
            for statement in statements:
                database.execute(statement)


def test_an_error_that_nobody_foresaw_goes_on_without_what_it_said(running, monkeypatch):
    def quoting(*_, **__):
        raise ValueError("could not convert 'ann@harbour.test'")

    monkeypatch.setattr("branchline.steps.sync.replicate", quoting)
    with pytest.raises(Failed, match="ValueError") as failed:
        running.run("sync_data", environment=STAGING)
    error = failed.value
    while error is not None:
        assert "harbour.test" not in repr(error)
        error = error.__context__


@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "NUMERIC", "BOOLEAN", "BLOB", "TEXT"])
def test_an_original_is_found_in_a_kept_column_whatever_it_is_declared(running, declared):
    alter(
        running, f"ALTER TABLE people ADD COLUMN c2 {declared}", "UPDATE people SET c2 = 'bob@harbour.test'"
    )
    running.commit(application(2, schema=2))
    running.push()
    with pytest.raises(Failed, match=r"people\.c2"):
        running.run("sync_data", environment=STAGING, policy_ref="master")


def test_rows_that_pass_unmasked_are_counted_and_said(running):
    files = dict(application(2))
    files[".branchline/sanitize.yaml"] = files[".branchline/sanitize.yaml"].replace(
        "  people:\n", "  people:\n    keep_rows: {where: \"email LIKE 'ann@%'\", reason: staff}\n"
    )
    running.commit(files)
    running.push()
    summary = running.run("sync_data", environment=STAGING, policy_ref="master")
    assert dict(facts_of(summary.sync))["rows kept as they are"] == "people 1 of 2 (staff)"


def test_a_subset_is_said_before_and_its_rows_afterwards(running):
    files = dict(application(2))
    files[".branchline/sanitize.yaml"] = files[".branchline/sanitize.yaml"].replace(
        "  people:\n", "  people:\n    subset: {where: \"email LIKE 'ann@%'\"}\n"
    )
    running.commit(files)
    running.push()
    with running.opened() as platform:
        told = preview_sync(platform, "store/production", STAGING, "master")
    assert dict(told.facts)["subset"] == "people where email LIKE 'ann@%'; without rows that refer to others"
    summary = running.run("sync_data", environment=STAGING, policy_ref="master")
    assert {rows for table, rows, *_ in columns_of(summary.sync) if table == "people"} == {"1 of 2"}


def test_an_empty_mount_does_not_stop_a_sync(home):
    for flow, asked in (
        ("deploy_environment", {"environment": "store/master"}),
        ("promote_to_staging", {"project": "store"}),
        ("promote_to_production", {"project": "store"}),
    ):
        home.run(flow, **asked)
    assert home.run("sync_data", environment=STAGING).outcome == "success"
