"""Who may change an environment: leases among several holders, and what a stale one may still do."""

import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from branchline.adapters.processes import LocalProcesses
from branchline.domain.activity import Grip, Holder, Lease, NewActivity, Want
from branchline.errors import Unavailable
from branchline.state.leases import LostLease
from branchline.state.store import Store, open_store
from tests.operations.bench import Bench, bench, request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ELSEWHERE = Holder("another-host", "boot", 7, 1.0)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as one:
        yield one


def begun_by(
    made: Bench, holder: Holder, *wants: Want, activity_id: str = "a-other", seconds: float = 60
) -> Grip:
    """An operation of another process, as its rows say."""
    new = NewActivity(activity_id, "deploy", "store", "master", {}, "bob", None, "deploy")
    grip = made.store.activities.begin(
        new, wants or (Want("environment:store/master"),), holder, made.now, seconds
    )
    assert isinstance(grip, Grip)
    return grip


# a stale grip


def writes_with_a_grip(store: Store) -> list[tuple[str, Any]]:
    """Every method of every component of the store that takes a grip."""
    found = []
    for component in ("environments", "artifacts", "deployments", "activities", "leases", "variables"):
        for name, method in inspect.getmembers(getattr(store, component), inspect.ismethod):
            if "grip" in inspect.signature(method).parameters and not name.startswith("_"):
                found.append((f"{component}.{name}", method))
    return found


def test_a_stale_grip_can_write_nothing(made: Bench) -> None:
    with made.operations.run(request()) as live:
        stale = Grip(live.id, tuple((resource, token - 1) for resource, token in live.grip.tokens))
        methods = writes_with_a_grip(made.store)
        assert len(methods) > 15
        before = dump(made)
        for name, method in methods:
            others = list(inspect.signature(method).parameters.values())
            arguments = {
                each.name: stale if each.name == "grip" else None
                for each in others
                if each.default is inspect.Parameter.empty
            }
            with pytest.raises(LostLease):
                method(**arguments)
                pytest.fail(f"{name} wrote with a stale grip")
        assert dump(made) == before


def test_an_empty_grip_can_write_nothing(made: Bench) -> None:
    with made.operations.run(request()) as live, pytest.raises(LostLease):
        made.store.activities.making(Grip(live.id), "file", "name")


def test_a_grip_lacking_one_of_its_leases_can_write_nothing(made: Bench) -> None:
    grip = begun_by(made, ELSEWHERE, Want("environment:a"), Want("environment:b"))
    made.store.leases.release(grip, "environment:b")
    with pytest.raises(LostLease):
        made.store.activities.making(grip, "file", "name")


def dump(made: Bench) -> list[str]:
    import sqlite3  # noqa: PLC0415 - to read past the store

    path = made.store.database.url.database
    assert path is not None
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


# the dead, the living, and those far away


def ended_process() -> Holder:
    """A process that was here and is no more."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        holder = of_process(process.pid)
        process.kill()
    return holder


def of_process(pid: int) -> Holder:
    stat = Path("/proc", str(pid), "stat").read_text()
    return replace(LocalProcesses().this(), pid=pid, pid_started=float(stat.rpartition(")")[2].split()[19]))


def test_what_a_dead_process_left_is_ended_by_the_next_operation(made: Bench) -> None:
    grip = begun_by(made, ended_process())
    made.store.activities.making(grip, "file", "left")
    (made.directory / "left").write_text("x")
    with made.operations.run(request()) as live:
        assert live.id != grip.activity_id
    ended = made.activity(grip.activity_id)
    assert (ended.result, made.left()) == ("failure", [])
    assert ended.reason is not None
    assert ended.reason.startswith("nothing changed: its process ended before the switch")


def test_a_process_number_that_is_used_again_is_another_process(made: Bench) -> None:
    alive = of_process(os.getppid())
    begun_by(made, replace(alive, pid_started=alive.pid_started - 1))
    assert len(made.operations.recover()) == 1
    os.kill(os.getppid(), 0)


def test_a_process_of_an_earlier_boot_is_dead(made: Bench) -> None:
    begun_by(made, replace(of_process(os.getppid()), boot="an earlier one"))
    assert len(made.operations.recover()) == 1


def test_setting_the_clock_makes_no_living_process_look_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil._pslinux  # noqa: PLC0415

    processes = LocalProcesses()
    parent = of_process(os.getppid())
    boot = psutil._pslinux.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + 3600)
    assert processes.alive(parent)
    assert processes.this() == of_process(os.getpid())


def test_a_living_process_keeps_its_lease_until_it_expires(made: Bench) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        begun_by(made, of_process(process.pid), seconds=60)
        with pytest.raises(Unavailable, match="is busy: deploy by bob since 00:00:00 UTC") as said:
            made.operations._begin(request())
        assert said.value.number == 313
        assert made.operations.recover() == []
        made.now += timedelta(seconds=61)
        assert len(made.operations.recover()) == 1
        assert process.wait(10) == -9


def test_a_lease_of_another_host_is_not_taken_over_but_unlocked_with_a_reason(made: Bench) -> None:
    begun_by(made, ELSEWHERE, seconds=60)
    made.now += timedelta(days=1)
    assert made.operations.recover() == []
    with pytest.raises(Unavailable, match="on host another-host, which has stopped renewing") as said:
        made.operations._begin(request())
    assert said.value.number == 314
    assert "branchline unlock" in said.value.hint
    (ended,) = made.operations.unlock("environment:store/master", "it burnt down", "ann")
    assert ended.warnings == ("unlocked by ann: it burnt down",)
    assert made.left() == []


def test_readers_share_and_a_writer_waits_for_them(made: Bench) -> None:
    source = "environment:store/production"
    first = request("environment:store/staging", reads=(source,))
    second = request("environment:store/master", reads=(source,))
    with made.operations.run(first), made.operations.run(second), pytest.raises(Unavailable):
        made.operations._begin(request(source))
    with made.operations.run(request(source)), pytest.raises(Unavailable):
        made.operations._begin(second)


def test_crossing_pairs_of_environments_do_not_deadlock(made: Bench) -> None:
    """Each wants what the other has: never do both hold a half."""
    pairs = [("environment:a", "environment:b"), ("environment:b", "environment:a")]
    both, ended = threading.Barrier(2), []

    def operate(mine: str, other: str) -> None:
        for _ in range(10):
            both.wait(30)
            with made.operations.run(request(mine, reads=(other,), wait=30.0)) as live:
                ended.append(live.id)

    threads = [threading.Thread(target=operate, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(ended)) == 20
    assert made.left() == []


def test_two_that_take_over_at_once_end_it_once(made: Bench) -> None:
    for number in range(5):
        grip = begun_by(made, ended_process(), activity_id=f"a-{number}")
        made.store.activities.making(grip, "file", f"left-{number}")
        threads = [threading.Thread(target=made.operations.recover) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert made.removed == [f"left-{number}" for number in range(5)]
    assert made.left() == []


# any interleaving


@dataclass
class Held:
    """What one holder believes to have."""

    grip: Grip
    wants: tuple[Want, ...]


RESOURCES = st.sampled_from(["a", "b", "c"])
WANTS = st.lists(
    st.builds(Want, RESOURCES, st.booleans()), min_size=1, max_size=3, unique_by=lambda want: want.resource
)


class Interleavings(RuleBasedStateMachine):
    """Holders come, renew, add, release, end, and are taken over in any order, some with grips long stale."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile  # noqa: PLC0415

        self.directory = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{self.directory.name}/state.db", Path(self.directory.name, "key"))
        self.grips: list[Grip] = []
        self.count = 0
        self.last = 0

    def teardown(self) -> None:
        self.store.database.close()
        self.directory.cleanup()

    @initialize()
    def nothing_is_held(self) -> None:
        assert self.store.leases.held() == ()

    @rule(wants=WANTS)
    def begin(self, wants: list[Want]) -> None:
        self.count += 1
        new = NewActivity(f"a-{self.count}", "deploy", "store", "master", {}, "ann", None, "deploy")
        self.got(self.store.activities.begin(new, wants, ELSEWHERE, NOW, 60), wants)

    @precondition(lambda self: self.grips)
    @rule(data=st.data(), want=st.builds(Want, RESOURCES, st.booleans()))
    def add(self, data: st.DataObject, want: Want) -> None:
        grip = data.draw(st.sampled_from(self.grips))
        if want.resource not in dict(grip.tokens) and self.fresh(grip):
            mine = {lease.resource for lease in self.store.leases.held(grip.activity_id)}
            if want.resource not in mine:
                self.got(self.store.leases.add(grip, want, NOW, 60), [want])

    @precondition(lambda self: self.grips)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        grip = data.draw(st.sampled_from(self.grips))
        if self.fresh(grip):
            self.store.leases.renew(grip, NOW, 60)
        else:
            with pytest.raises(LostLease):
                self.store.leases.renew(grip, NOW, 60)

    @precondition(lambda self: self.grips)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        grip = data.draw(st.sampled_from(self.grips))
        resource = data.draw(st.sampled_from([resource for resource, _ in grip.tokens]))
        if self.fresh(grip):
            self.store.leases.release(grip, resource)
            rest = grip.without(resource)
            if rest.tokens:
                self.grips.append(rest)
        else:
            with pytest.raises(LostLease):
                self.store.leases.release(grip, resource)

    @precondition(lambda self: self.grips)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        grip = data.draw(st.sampled_from(self.grips))
        if self.fresh(grip):
            self.store.activities.end(grip, "success", None, NOW, cancelled=False)
            assert self.store.leases.held(grip.activity_id) == ()

    @precondition(lambda self: self.grips)
    @rule(data=st.data(), late=st.booleans())
    def take_over(self, data: st.DataObject, late: bool) -> None:
        found = self.store.leases.held(data.draw(st.sampled_from(self.grips)).activity_id)
        if found:
            taken = self.store.leases.take_over(found, ELSEWHERE, NOW, 60)
            assert taken is not None
            self.grips.append(taken)
            if late:
                assert self.store.leases.take_over(found, ELSEWHERE, NOW, 60) is None

    def fresh(self, grip: Grip) -> bool:
        held = {lease.resource: lease.token for lease in self.store.leases.held(grip.activity_id)}
        return bool(grip.tokens) and all(held.get(resource) == token for resource, token in grip.tokens)

    def got(self, got: Grip | tuple[Lease, ...], wants: list[Want]) -> None:
        if isinstance(got, Grip):
            self.grips.append(got)
        else:
            exclusive = {want.resource for want in wants if want.exclusive}
            assert all(lease.exclusive or lease.resource in exclusive for lease in got)

    @invariant()
    def nobody_else_has_what_is_held_exclusively(self) -> None:
        held = self.store.leases.held()
        for lease in held:
            if lease.exclusive:
                assert [other for other in held if other.resource == lease.resource] == [lease]

    @invariant()
    def tokens_only_grow(self) -> None:
        highest = max((lease.token for lease in self.store.leases.held()), default=self.last)
        given = max((token for grip in self.grips for _, token in grip.tokens), default=0)
        assert highest <= given or not self.grips
        assert given >= self.last
        self.last = given


Interleavings.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyInterleaving = Interleavings.TestCase
