"""What the post-receive hook writes down and shows, by pushing with real Git into a real home."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from branchline import push_outbox
from branchline.adapters.git_hooks import install
from branchline.domain.push import NewPush
from branchline.launch.duties import pushes as duty
from branchline.platform import Platform
from branchline.push_outbox import Watch, pusher, wanted
from branchline.steps import candidate
from branchline.steps.pushes import scan
from tests.adapters.git_workshop import workshop
from tests.workshop.application import application
from tests.workshop.home import Home
from tests.workshop.litter import version_served
from tests.workshop.pushing import FakeServer, command, dispatch, in_words, is_up, of_a_pusher, push
from tests.workshop.waiting import until


@pytest.fixture
def platform(home: Home) -> Iterator[Platform]:
    with home.opened() as opened:
        yield opened


def rows(platform: Platform) -> list[str]:
    """Of what was pushed, the oldest first."""
    return in_words([each for each in platform.store.pushes.recent()[::-1] if each.pusher != "branchline"])


def test_each_branch_of_a_push_is_written_down_and_no_tag(home, platform):
    first = home.commit(application(2))
    assert push(home, "HEAD:refs/heads/a", "HEAD:refs/heads/gone").accepted
    second = home.commit(application(3))
    home._git("tag", "v1")
    before = platform.store.pushes.recent(limit=1)[0].id
    assert push(home, "HEAD:refs/heads/a", "HEAD:refs/heads/b", ":refs/heads/gone", "v1").accepted
    found = [each for each in platform.store.pushes.recent()[::-1] if each.id > before]
    assert {(each.branch, each.old, each.new) for each in found} == {
        ("a", first, second),
        ("b", None, second),
        ("gone", first, None),
    }
    assert len({each.created_at for each in found}) == 1
    assert {each.pusher for each in found} == {pusher({})}
    home._git("tag", "v2")
    assert "Branchline" not in push(home, "v2").said


def test_while_nothing_is_up_a_push_is_kept_and_the_pusher_is_told(home, platform):
    home.commit(application(2))
    done = push(home, "HEAD:master")
    assert done.accepted
    assert "Branchline is not up. The push is kept, and deployed when it is: branchline up." in done.said
    assert rows(platform) == ["master: waiting"]
    dispatch(platform, FakeServer())
    assert version_served(platform, "store/master") == "2"


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({"reachable": False}, "The Prefect server does not answer. The push is kept"),
        ({"workers": []}, "No worker is there. The push is kept"),
        ({"failing": {"pushes": "no such deployment"}}, "Pushes wait: no such deployment. This one is kept."),
    ],
)
def test_what_is_missing_is_said_once_and_waited_for_a_little(home, platform, detail, words):
    is_up(platform)
    terminal, start = Terminal(platform), platform.clock()

    def at(seconds: int, **now: object) -> None:
        terminal.at(start + timedelta(seconds=seconds))
        is_up(terminal.platform, **now)

    terminal.later = [
        partial(at, 2, **detail),
        partial(at, 4),
        *(partial(at, seconds, **detail) for seconds in (6, 16, 25, 26)),
    ]
    terminal.watch.follow(written(platform))
    assert terminal.polls == 6
    assert terminal.said.count(words) == 1
    assert "Branchline: It goes on without you." in terminal.said
    assert rows(platform) == ["master: waiting"]


def test_the_hook_finds_its_own_home_whatever_the_pusher_has(home, platform, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    home.commit(application(2))
    done = push(
        home,
        "HEAD:master",
        BRANCHLINE_HOME=str(elsewhere),
        BRANCHLINE_CONFIG=str(elsewhere),
        BRANCHLINE_STATE_URL=f"sqlite:///{elsewhere}/state.db",
        BRANCHLINE_SANDBOX="nonsense",
        PYTHONPATH=str(elsewhere),
    )
    assert done.accepted
    assert rows(platform) == ["master: waiting"]
    assert not elsewhere.exists()


def test_a_server_may_say_who_pushed(home, platform):
    home.commit(application(2))
    push(home, "HEAD:master", BRANCHLINE_PUSHER="ann\x1b]0;owned\x07 of harbour")
    assert platform.store.pushes.recent()[0].pusher == "ann ]0;owned  of harbour"
    assert len(pusher({"BRANCHLINE_PUSHER": "x" * 1000})) == 100


def test_of_many_branches_it_is_said_where_to_look(home, platform):
    is_up(platform)
    home.commit(application(2))
    done = push(home, *(f"HEAD:b{number}" for number in range(4)))
    assert "accepted, 4 branches from" in done.said
    assert "branchline push list store" in done.said


def test_a_pusher_who_does_not_want_to_wait_does_not(home, platform):
    is_up(platform)
    home.commit(application(2))
    done = push(home, "--push-option=branchline.wait=no", "HEAD:master")
    assert done.accepted
    assert "branchline push list store" in done.said
    assert wanted({"GIT_PUSH_OPTION_COUNT": "1", "GIT_PUSH_OPTION_0": "something=else"})


# when it cannot write


def test_a_push_that_cannot_be_written_down_is_taken_and_it_is_said_loudly(home, platform):
    state = platform.layout.state
    commit = home.commit(application(2))
    platform.store.database.close()
    kept = state.rename(state.with_name("away"))
    state.write_text("this is no database" * 1000)
    done = push(home, "HEAD:master")
    state.unlink()
    kept.rename(state)
    assert done.accepted
    assert platform.repository("store").branches()["master"] == commit
    assert "Branchline took this push but does NOT deploy it:" in done.said
    assert "is damaged" in done.said
    assert "branchline push scan store" in done.said
    assert "[B178]" in done.said
    assert "Traceback" not in done.said
    assert in_words(scan(platform, platform.store.environments.project("store"))) == ["master: waiting"]


def test_without_its_python_the_hook_says_that_nothing_is_deployed(tmp_path):
    shop = workshop(tmp_path)
    install(shop.bare, [], {})
    hook = shop.bare / "hooks/post-receive"
    hook.write_text(hook.read_text().replace("python=", f"python={tmp_path}/gone"))
    shop.commit({"README": "x"})
    done = shop.push("HEAD:master")
    assert done.accepted
    assert "does NOT deploy it, because its outbox cannot be written" in done.said
    assert "branchline push scan project" in done.said


def test_a_password_is_not_written_into_the_hook_and_it_is_said_where_it_belongs(tmp_path):
    shop = workshop(tmp_path)
    secret = "postgresql+psycopg://ada:secret@db.harbour.test/branchline"
    install(shop.bare, [], {"BRANCHLINE_STATE_URL": secret})
    assert not [path for path in shop.bare.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    shop.commit({"README": "x"})
    done = shop.push("HEAD:master")
    assert done.accepted
    assert "state_url: {file: ...}" in done.said
    assert "secret" not in done.said


def test_on_postgresql_the_hook_writes_to_the_server(home_on_postgres):
    home = home_on_postgres
    with home.opened() as platform:
        home.commit(application(2))
        told = push(home, "HEAD:master")
        assert "does NOT deploy it" in told.said
        place = home.path / "state-url"
        place.write_text(home.state_url)
        home.configure({"state_url": {"file": str(place)}})
        install(
            platform.layout.repository("store"),
            [],
            {"BRANCHLINE_HOME": str(home.path / "home"), "BRANCHLINE_CONFIG": str(home.path / "config")},
        )
        home.commit(application(3))
        assert "Branchline is not up. The push is kept" in push(home, "HEAD:master").said
        assert rows(platform) == ["master: waiting"]
        dispatch(platform, FakeServer())
        assert version_served(platform, "store/master") == "3"
        assert rows(platform) == ["master: done"]


def test_the_hooks_of_somebody_else_are_not_overwritten(tmp_path):
    shop = workshop(tmp_path)
    hook = shop.bare / "hooks/post-receive"
    hook.write_text("#!/bin/sh\n")
    with pytest.raises(Exception, match="is not Branchline's"):
        install(shop.bare, [], {})
    assert not (shop.bare / "hooks/pre-receive").exists()
    assert hook.read_text() == "#!/bin/sh\n"


# who watches


@contextmanager
def pushing(home: Home, *what: str) -> Iterator[subprocess.Popen[str]]:
    """A `git push` that goes on, in a session of its own, as a terminal is; it ends by what these tests may have been told to ignore."""
    process = subprocess.Popen(
        ["env", "--default-signal=HUP,INT,TERM", *command(home, *what)],
        cwd=home.path / "checkout",
        env=of_a_pusher(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def taken(platform: Platform, server: FakeServer) -> bool:
    duty.run(platform, server)  # type: ignore[arg-type]
    return bool(server.waiting())


def test_the_pushing_terminal_sees_the_steps_and_the_end(home, platform):
    is_up(platform)
    commit, server = home.commit(application(2)), FakeServer()
    with pushing(home, "HEAD:master") as process:
        until(lambda: taken(platform, server))
        server.work()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    for words in (
        f"accepted from {pusher({})}: {commit[:12]} on master.",
        "You may hang up",
        "master: preflight done",
        f"{commit[:12]} A change",
        "master: switch done",
        f"Branchline: store/master runs {commit[:12]} (a-",
    ):
        assert words in said, said


def test_the_pushing_terminal_sees_why_it_failed_and_the_end_of_the_log(home, platform):
    is_up(platform)
    server = FakeServer()
    home.commit(application(2, build="printf 'the \\033[31mred\\033[0m light\\n'; exit 7"))
    with pushing(home, "HEAD:master") as process:
        until(lambda: taken(platform, server))
        server.work()
        _, said = process.communicate(timeout=60)
    assert "store/master: FAILED: nothing changed: " in said
    assert "    the red light" in said
    assert "next: branchline activity show a-" in said
    assert "\x1b[31m" not in said


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_hanging_up_stops_the_watching_and_nothing_else(home, platform, monkeypatch, ending):
    is_up(platform)
    server, checked, hung_up = FakeServer(), threading.Event(), threading.Event()

    def held(*arguments: object, check: object = candidate.check_candidate) -> None:
        checked.set()
        assert hung_up.wait(60)
        check(*arguments)

    monkeypatch.setattr(candidate, "check_candidate", held)
    home.commit(application(2))
    with pushing(home, "HEAD:master") as process:
        until(lambda: taken(platform, server))
        worker = threading.Thread(target=server.work)
        worker.start()
        assert checked.wait(60)
        os.killpg(process.pid, ending)
        process.communicate(timeout=60)
        hung_up.set()
        worker.join()
    assert version_served(platform, "store/master") == "2"
    assert rows(platform) == ["master: done"]
    until(lambda: not hooks_of(home))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_who_hangs_up_before_it_is_written_down_does_not_lose_the_push(home, platform, ending):
    home.commit(application(2))
    with pushing(home, "HEAD:master") as process:
        with platform.store.database.write():
            until(lambda: hooks_of(home))
            os.killpg(process.pid, ending)
            process.communicate(timeout=60)
        until(lambda: rows(platform) == ["master: waiting"])
    until(lambda: not hooks_of(home))


def hooks_of(home: Home) -> list[str]:
    """The processes of this home's hooks."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            told = (process / "environ").read_bytes() if process.name.isdecimal() else b""
            line = (process / "cmdline").read_bytes() if told else b""
        except OSError:
            continue
        if f"BRANCHLINE_HOME={home.path / 'home'}".encode() in told and b"push_outbox" in line:
            found.append(process.name)
    return found


class Terminal:
    """What is said, and a hook that gives up waiting after some polls."""

    def __init__(self, platform: Platform) -> None:
        self.lines: list[str] = []
        self.polls = 0
        self.later: list[object] = []
        self.platform = platform
        store = platform.store
        self.watch = Watch(
            store.pushes,
            store.activities,
            store.running,
            platform.layout,
            lambda *lines: self.lines.extend(lines),
            platform.clock,
            self.wait,
        )

    def wait(self) -> None:
        self.polls += 1
        assert self.polls < 10, "it follows for ever"
        if self.later:
            self.later.pop(0)()  # type: ignore[operator]

    def at(self, now: datetime) -> None:
        """It is this time now."""
        self.platform = replace(self.platform, clock=lambda: now)
        self.watch.clock = self.platform.clock

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


def written(platform: Platform, branch: str = "master") -> list:
    tip = platform.repository("store").branches()[branch]
    return list(platform.store.pushes.add([NewPush("store", branch, None, tip, "ann")], platform.clock()))


def test_a_run_that_does_not_begin_is_not_waited_for(platform):
    is_up(platform)
    found = written(platform)
    duty.run(platform, FakeServer())  # type: ignore[arg-type]
    terminal = Terminal(platform)
    terminal.at(platform.clock() + timedelta(seconds=push_outbox.UNBEGUN_SECONDS + 5))
    is_up(terminal.platform)
    terminal.watch.follow(platform.store.pushes.these([found[0].id]))
    assert "No worker has begun it yet. It is kept, and goes on without you." in terminal.said
    assert terminal.polls == 0


def test_a_push_behind_another_one_is_told_so_once(platform):
    is_up(platform)
    written(platform)
    server = FakeServer()
    duty.run(platform, server)  # type: ignore[arg-type]
    terminal = Terminal(platform)
    terminal.later = [lambda: None, lambda: None, lambda: dispatch(platform, server)]
    terminal.watch.follow(written(platform))
    assert terminal.lines.count("  master: another push of this branch runs; this one is next.") == 1
    assert "store/master: skipped: " in terminal.said


def test_a_superseded_push_and_one_without_a_slot_are_told_so(platform):
    is_up(platform)
    found = [*written(platform), *written(platform)]
    terminal = Terminal(platform)
    terminal.later = [lambda: dispatch(platform, FakeServer())]
    terminal.watch.follow(found)
    assert "Branchline: master: skipped: superseded by " in terminal.said
    assert "store/master runs " in terminal.said


def test_a_dispatcher_that_dies_is_noticed(platform):
    is_up(platform)
    found = written(platform)
    terminal = Terminal(platform)
    at = platform.clock() + timedelta(minutes=5)
    terminal.later = [lambda: terminal.at(at)]
    terminal.watch.follow(found)
    assert "Branchline is not up" in terminal.said
