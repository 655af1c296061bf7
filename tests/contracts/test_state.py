"""What the state database promises, on every engine that keeps it."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from branchline.domain.activity import Activity, Grip, Holder, NewActivity, Want
from branchline.domain.environment import Artifact, Deployment, Environment
from branchline.domain.variable import Variable
from branchline.errors import BadInput, Failed, Refused, Unavailable
from branchline.state import database, tables
from branchline.state.database import SCHEMA, StateDatabase
from branchline.state.leases import LostLease
from branchline.state.store import Store, open_store
from tests.workshop.another_process import another_process

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = Holder("here", "boot", 7, 1.5)
THERE = Holder("there", "boot", 8, 2.5)
MASTER = Want("environment:store/master")
IN_A_WRITE = """
with database.StateDatabase(url).write() as session:
    session.execute(insert(tables.FencingToken).values(id=1, last=7))
    say("in")
    wait()
say("done")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database in which nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    made: str = request.getfixturevalue("postgres_url")
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "key"


@pytest.fixture
def store(url: str, key: Path) -> Iterator[Store]:
    made = open_store(url, key)
    yield made
    made.database.close()


@pytest.fixture
def master(store: Store) -> Environment:
    project = store.environments.add_project("store", "pro", NOW)
    return store.environments.add(project, "master", "master", "integration", "active", NOW)


def tokens(state: StateDatabase) -> list[int]:
    with state.read() as session:
        return list(session.scalars(select(tables.FencingToken.last)))


def new(activity_id: str) -> NewActivity:
    return NewActivity(activity_id, "deploy", "store", "master", {}, "ann", None, "deploy")


def begun(store: Store, activity_id: str = "a-1", *wants: Want, now: datetime = NOW) -> Grip:
    grip = store.activities.begin(new(activity_id), wants or (MASTER,), HERE, now, 60)
    assert isinstance(grip, Grip)
    return grip


# writers


def test_a_writer_waits_for_the_one_in_another_process_and_sees_what_it_wrote(store: Store, url: str) -> None:
    with another_process(url, IN_A_WRITE) as other:
        assert other.says() == "in"
        other.go_on()
        with store.database.write() as session:
            assert session.scalars(select(tables.FencingToken.last)).all() == [7]
        assert other.says() == "done"


def test_a_writer_that_waits_too_long_is_told_that_it_is_busy(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateDatabase(url).close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    state = StateDatabase(url)
    with another_process(url, IN_A_WRITE) as other:
        assert other.says() == "in"
        with pytest.raises(Unavailable, match=r"stayed locked for 0\.1 seconds") as said, state.write():
            pytest.fail("two write at once")
        assert said.value.number == 301
        other.go_on()
        assert other.says() == "done"
    with state.write() as session:
        assert session.scalar(select(tables.FencingToken.last)) == 7
    state.close()


def test_many_processes_that_read_and_then_write_lose_no_write(store: Store, url: str) -> None:
    with store.database.write() as session:
        session.execute(insert(tables.FencingToken).values(id=1, last=0))
    count = """
    state = database.StateDatabase(url)
    say("ready")
    wait()
    for _ in range(25):
        with state.write() as session:
            last = session.scalars(select(tables.FencingToken.last)).one()
            session.execute(update(tables.FencingToken).values(last=last + 1))
    say("done")
    """
    with ExitStack() as stack:
        others = [stack.enter_context(another_process(url, count)) for _ in range(4)]
        assert [other.says() for other in others] == ["ready"] * 4
        for other in others:
            other.go_on()
        assert [other.says() for other in others] == ["done"] * 4
    assert tokens(store.database) == [100]


def test_a_body_that_raises_leaves_nothing_written(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.database.write() as session:
        session.execute(insert(tables.FencingToken).values(id=1, last=7))
        raise ZeroDivisionError
    assert tokens(store.database) == []


def test_a_process_killed_in_a_write_leaves_nothing_and_blocks_nobody(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 5)
    state = StateDatabase(url)
    with another_process(url, IN_A_WRITE) as other:
        assert other.says() == "in"
        other.process.send_signal(signal.SIGKILL)
        other.process.wait()
    with state.write() as session:
        assert session.scalars(select(tables.FencingToken.last)).all() == []
    state.close()


# readers


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(store: Store) -> None:
    with store.database.read() as session:
        before = session.scalar(select(func.count()).select_from(tables.Project))
        store.environments.add_project("shop", "pro", NOW)
        assert session.scalar(select(func.count()).select_from(tables.Project)) == before
    assert [each.name for each in store.environments.projects()] == ["shop"]


def test_readers_and_those_who_open_it_do_not_wait_for_a_writer(
    url: str, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateDatabase(url).close()
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with another_process(url, IN_A_WRITE) as other:
        assert other.says() == "in"
        store = open_store(url, key)
        assert store.environments.projects() == []
        assert tokens(store.database) == []
        store.database.close()


# the schema


def test_a_new_database_has_the_newest_schema_and_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.database.read() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert context.get_current_revision() == SCHEMA
        assert compare_metadata(context, tables.Table.metadata) == []


def test_processes_that_open_a_new_database_at_once_all_find_it_ready(url: str) -> None:
    opening = """
    say("ready")
    wait()
    state = database.StateDatabase(url)
    with state.read() as session:
        say(session.scalar(text("SELECT version_num FROM alembic_version")))
    """
    with ExitStack() as stack:
        others = [stack.enter_context(another_process(url, opening)) for _ in range(4)]
        assert [other.says() for other in others] == ["ready"] * 4
        for other in others:
            other.go_on()
        assert [other.says() for other in others] == [SCHEMA] * 4


def test_a_schema_of_a_newer_branchline_is_refused_and_left_alone(store: Store, url: str) -> None:
    with store.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="schema 9999, made by a newer Branchline"):
        StateDatabase(url)
    with store.database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


# leases


def test_a_lease_is_given_to_one_and_shown_to_the_next(store: Store) -> None:
    grip = begun(store)
    (in_the_way,) = store.activities.begin(new("a-2"), (MASTER,), THERE, NOW, 60)
    assert in_the_way == store.leases.held("a-1")[0]
    assert (in_the_way.holder, in_the_way.expires_at) == (HERE, NOW + timedelta(seconds=60))
    assert [each.id for each in store.activities.unended()] == ["a-1"]
    store.activities.end(grip, "success", None, NOW, cancelled=False)
    assert isinstance(store.activities.begin(new("a-2"), (MASTER,), THERE, NOW, 60), Grip)


def test_whoever_takes_over_has_newer_tokens_and_the_old_holder_may_write_nothing(store: Store) -> None:
    stale = begun(store)
    found = store.leases.held("a-1")
    grip = store.leases.take_over(found, THERE, NOW, 60)
    assert grip is not None
    assert grip.tokens[0][1] > stale.tokens[0][1]
    for write in (
        lambda: store.leases.renew(stale, NOW, 60),
        lambda: store.activities.begin_step(stale, "build", NOW),
        lambda: store.activities.end(stale, "success", None, NOW, cancelled=False),
    ):
        with pytest.raises(LostLease):
            write()
    store.activities.begin_step(grip, "build", NOW)
    assert store.leases.take_over(found, HERE, NOW, 60) is None


def test_of_processes_that_take_over_at_once_one_does(store: Store, url: str) -> None:
    begun(store)
    take_over = """
    from datetime import UTC, datetime
    from pathlib import Path
    from branchline.domain.activity import Holder
    from branchline.state.store import open_store
    store = open_store(url, Path("/nowhere"))
    found = store.leases.held("a-1")
    say("ready")
    wait()
    say(store.leases.take_over(found, Holder("there", "boot", 9, 1.0), datetime.now(UTC), 60) is not None)
    """
    with ExitStack() as stack:
        others = [stack.enter_context(another_process(url, take_over)) for _ in range(4)]
        assert [other.says() for other in others] == ["ready"] * 4
        for other in others:
            other.go_on()
        assert sorted(other.says() for other in others) == ["False", "False", "False", "True"]


def test_tokens_only_grow(store: Store) -> None:
    seen = []
    for number in range(5):
        grip = begun(store, f"a-{number}", Want(f"environment:{number}"))
        seen.append(grip.tokens[0][1])
        store.activities.end(grip, "success", None, NOW, cancelled=False)
    assert seen == sorted(set(seen))


# the commit point


def candidate(store: Store, grip: Grip, master: Environment, name: str, previous: str | None) -> None:
    artifact = Artifact("sha256:aa", 1, 5 * 2**30, 3 * 2**30, NOW)
    assert store.artifacts.keep(grip, "key", "tree", {"b": [1], "a": None}, artifact) == artifact
    store.deployments.add_candidate(
        grip,
        Deployment(
            id=name,
            environment_id=master.id,
            kind="deploy",
            state="candidate",
            commit="c",
            tree="t",
            digest=artifact.digest,
            settings="s",
            advance_branch=True,
            activity_id=grip.activity_id,
            previous_id=previous,
            created_at=NOW,
            deployed_at=None,
        ),
    )


def test_the_commit_moves_the_pointer_once(store: Store, master: Environment) -> None:
    grip = begun(store)
    candidate(store, grip, master, "d-1", None)
    candidate(store, grip, master, "d-2", None)
    store.deployments.commit(grip, master, "d-1", NOW)
    with pytest.raises(Failed, match="changed by somebody else in the meantime") as said:
        store.deployments.commit(grip, master, "d-2", NOW)
    assert said.value.number == 311
    assert store.environments.get("store", "master").deployment_id == "d-1"
    assert [each.id for each in store.deployments.of(master)] == ["d-1"]
    candidate(store, grip, master, "d-3", "d-1")
    store.deployments.commit(grip, master, "d-3", NOW + timedelta(seconds=1))
    assert [each.id for each in store.deployments.of(master)] == ["d-3", "d-1"]


def test_a_commit_with_a_stale_token_moves_nothing(store: Store, master: Environment) -> None:
    grip = begun(store)
    candidate(store, grip, master, "d-1", None)
    store.leases.take_over(store.leases.held(), THERE, NOW, 60)
    with pytest.raises(LostLease):
        store.deployments.commit(grip, master, "d-1", NOW)
    assert store.environments.get("store", "master").deployment_id is None


def test_artifacts_of_more_than_two_gigabytes_are_counted(store: Store, master: Environment) -> None:
    candidate(store, begun(store), master, "d-1", None)
    assert [(each.size, each.stored_size) for each in store.artifacts.all()] == [(5 * 2**30, 3 * 2**30)]


# values come out as they went in


def test_names_differ_in_case_and_are_sorted_as_bytes_are(store: Store) -> None:
    for name in ("b", "a", "B", "a-b", "ab", "é"):
        store.environments.add_project(name, "pro", NOW)
    assert [each.name for each in store.environments.projects()] == ["B", "a", "a-b", "ab", "b", "é"]
    with pytest.raises(BadInput, match="a project 'b' already"):
        store.environments.add_project("b", "pro", NOW)


def test_a_taken_branch_or_name_is_told(store: Store, master: Environment) -> None:
    for name, branch in (("master", "other"), ("other", "master")):
        with pytest.raises(BadInput, match="has an environment"):
            store.environments.add(master.project, name, branch, "integration", "active", NOW)
    store.environments.add(master.project, "Master", "Master", "integration", "active", NOW)


def test_an_activity_is_found_by_the_beginning_of_its_id_and_by_nothing_else(store: Store) -> None:
    begun(store, "ab_1", Want("a"))
    begun(store, "abx2", Want("b"))
    assert store.activities.get("ab_").id == "ab_1"
    for beginning in ("AB_1", "%", "ab", "b_1"):
        with pytest.raises(BadInput, match="B320"):
            store.activities.get(beginning)


def test_what_an_activity_says_comes_out_as_it_went_in(store: Store) -> None:
    parameters = {
        "ref": "main",
        "ohne": None,
        "ümlaut": ["é", 1, 1.5, True, {"a": "\u2028'\";--"}],
        "a": 2**40,
    }
    berlin = datetime(2026, 7, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    asked = replace(new("a-1"), parameters=parameters, sentence="deploy\n\t'x' \\ %s :name \u0001")
    grip = store.activities.begin(asked, (MASTER,), HERE, berlin, 60)
    assert isinstance(grip, Grip)
    store.activities.warn(grip, "first")
    store.activities.warn(grip, "second")
    store.activities.warn(grip, "first")
    seq = store.activities.begin_step(grip, "build", berlin)
    store.activities.end_step(grip, seq, "done", "a\0b", berlin)
    found: Activity = store.activities.get("a-1")
    assert (found.parameters, found.sentence) == (parameters, asked.sentence)
    assert list(found.parameters) == list(parameters)
    assert found.warnings == ("first", "second")
    assert (found.created_at, found.created_at.tzinfo) == (berlin, UTC)
    assert [step.detail for step in found.steps] == ["a\ufffdb"]


def test_activities_are_listed_newest_first_with_a_limit(store: Store) -> None:
    for number in range(5):
        begun(store, f"a-{number}", Want(str(number)), now=NOW + timedelta(microseconds=number))
    assert [each.id for each in store.activities.recent(limit=2)] == ["a-4", "a-3"]
    assert [each.id for each in store.activities.unended()] == [f"a-{number}" for number in range(5)]


def test_a_variable_of_the_environment_wins_over_the_projects(store: Store, master: Environment) -> None:
    project = master.project
    store.variables.set(project, None, Variable("B", "project's", sensitive=True))
    store.variables.set(project, None, Variable("b", "another", at_build=True, at_run=False))
    store.variables.set(project, master, Variable("B", "its own"))
    store.variables.set(project, master, Variable("B", "its own, again", sensitive=True))
    assert [(each.name, each.value) for each in store.variables.of(project, master)] == [
        ("B", "its own, again"),
        ("b", "another"),
    ]
    assert store.variables.of(project)[0].value == "project's"
    assert store.variables.of(project)[1] == Variable("b", "another", at_build=True, at_run=False)
    assert sorted(store.variables.secrets_of("store")) == ["its own, again", "project's"]
    store.variables.delete(project, master, "B")
    assert store.variables.of(project, master)[0].value == "project's"
    with pytest.raises(BadInput, match="no variable 'B' there"):
        store.variables.delete(project, master, "B")


def test_a_bad_artifact_is_remembered_until_it_is_lifted(store: Store, master: Environment) -> None:
    grip = begun(store)
    candidate(store, grip, master, "d-1", None)
    store.artifacts.mark_bad(grip, master, "sha256:aa", "it crashed", NOW)
    assert store.artifacts.why_bad(master, "sha256:aa") == "it crashed"
    store.artifacts.lift(grip, master, "sha256:aa", "fixed", NOW)
    assert store.artifacts.why_bad(master, "sha256:aa") is None


def test_rows_that_others_refer_to_stay(store: Store, master: Environment) -> None:
    candidate(store, begun(store), master, "d-1", None)
    with pytest.raises(IntegrityError), store.database.write() as session:
        session.execute(text("DELETE FROM artifacts"))
    with pytest.raises(IntegrityError), store.database.write() as session:
        session.execute(update(tables.Deployment).values(digest="sha256:nothing"))
    assert [each.digest for each in store.artifacts.all()] == ["sha256:aa"]
