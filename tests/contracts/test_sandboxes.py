"""What holds for an application's commands in every kind of sandbox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from branchline.adapters.box_layout import scratch_name
from branchline.adapters.boxed_process import Limits
from branchline.adapters.sandbox import Bubblewrap, InPlace
from branchline.errors import BadInput, Failed
from branchline.ports import Box

TIMEOUT = 60.0


def made(kind, limits=None):
    sandbox = {"bubblewrap": Bubblewrap, "none": InPlace}[kind](limits=limits or Limits())
    if isinstance(sandbox, Bubblewrap) and (reason := sandbox.reason_not_to_work()):
        pytest.skip(f"bubblewrap does not work here: {reason}")
    return sandbox


@pytest.fixture(params=["bubblewrap", "none"])
def kind(request):
    return request.param


@pytest.fixture
def sandbox(kind):
    return made(kind)


@pytest.fixture
def box(tmp_path):
    tree = tmp_path / "tree"
    (tree / "media").mkdir(parents=True)
    (tree / "code.py").write_text("print('code')")
    (tmp_path / "mount").mkdir()
    return Box(tree=tree, mounts={"media": tmp_path / "mount"}, tag=f"tag-{tmp_path.name}-{os.getpid()}")


@pytest.fixture
def napping():
    """A command that sleeps for ever, and can be told from everybody else's."""
    seconds = f"{1_000_000 + os.getpid()}.{time.monotonic_ns()}"
    return f"sleep {seconds}"


def processes_with(text):
    found = []
    for process in psutil.process_iter():
        try:
            if text in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.01)


def lines_of(sandbox, command, box):
    lines: list[str] = []
    sandbox.run(command, box, timeout=TIMEOUT, output=lines.append)
    return lines


def test_a_command_runs_in_its_application_s_directory(sandbox, box):
    assert lines_of(sandbox, 'cat code.py; echo; test "$(pwd)" = "$BRANCHLINE_APP_DIR"', box) == [
        "print('code')"
    ]


def test_what_is_written_to_a_mount_stays(sandbox, box, tmp_path):
    (tmp_path / "mount" / "before").write_text("was there")
    assert lines_of(sandbox, "cat media/before; echo new > media/after", box) == ["was there"]
    assert (tmp_path / "mount" / "after").read_text() == "new\n"


def test_a_mount_may_lie_deeper_in_the_tree(sandbox, box, tmp_path):
    (box.tree / "pub" / "files").mkdir(parents=True)
    (box.tree / "pub" / "index").write_text("index")
    deep = Box(tree=box.tree, mounts={"pub/files": tmp_path / "mount"})
    assert lines_of(sandbox, "cat pub/index; echo x > pub/files/x", deep) == ["index"]
    assert (tmp_path / "mount" / "x").exists()


def test_nothing_new_appears_in_a_tree_that_is_not_writable(sandbox, box):
    lines_of(sandbox, "echo x > new || echo x > media/new", box)
    assert sorted(entry.name for entry in box.tree.iterdir()) == ["code.py", "media"]
    assert not list((box.tree / "media").iterdir())


def test_a_build_writes_into_its_tree(sandbox, tmp_path):
    lines_of(sandbox, "mkdir out; echo built > out/page", Box(tree=tmp_path, tree_writable=True))
    assert (tmp_path / "out" / "page").read_text() == "built\n"


def test_a_writable_directory_is_seen_at_its_own_path(sandbox, box, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    lines_of(sandbox, f"echo row > {data}/database", Box(tree=box.tree, writable=[data]))
    assert (data / "database").read_text() == "row\n"


def test_a_command_inherits_no_variable_and_gets_those_of_its_box(sandbox, box, monkeypatch):
    monkeypatch.setenv("CANARY", "ours")
    given = Box(tree=box.tree, environment={"GREETING": "good day\nto you", "HOME": "/root"}, tag="the tag")
    names = {line.partition("=")[0] for line in lines_of(sandbox, "env", given)}
    assert {"PATH", "HOME", "LANG", "BRANCHLINE_STEP", "GREETING"} <= names
    assert "CANARY" not in names
    script = (
        'echo "$GREETING"; echo "$BRANCHLINE_STEP"; test "$HOME" != /root; test -w "$HOME"; test -w "$TMPDIR"'
    )
    assert lines_of(sandbox, script, given) == ["good day", "to you", "the tag"]


def test_two_runs_have_no_temporary_file_in_common(sandbox, box):
    script = 'test ! -e "$TMPDIR/left"; test ! -e "$HOME/left"; touch "$TMPDIR/left" "$HOME/left"'
    lines_of(sandbox, script, box)
    lines_of(sandbox, script, box)


def test_the_first_failing_command_ends_it_and_the_exit_code_is_told(sandbox, box):
    lines: list[str] = []
    with pytest.raises(Failed, match="exit code 7") as caught:
        sandbox.run("echo before\n(exit 7)\necho after", box, timeout=TIMEOUT, output=lines.append)
    assert caught.value.number == 404
    assert lines == ["before"]


def test_a_command_that_is_killed_by_a_signal_has_failed(sandbox, box):
    with pytest.raises(Failed, match="exit code 137"):
        sandbox.run("kill -9 $$", box, timeout=TIMEOUT, output=print)


def test_a_command_that_hangs_is_ended_at_its_time_limit_with_all_it_started(sandbox, box, napping):
    with pytest.raises(Failed, match="longer than") as caught:
        sandbox.run(f"{napping} & {napping}", box, timeout=0.5, output=print)
    assert caught.value.number == 405
    assert not processes_with(napping)


@pytest.mark.parametrize(
    "daemon",
    [
        "setsid {} &",
        "setsid {} >/dev/null 2>&1 </dev/null &",
        "setsid env -i {} &",
        "(setsid sh -c 'exec env -i {}' &)&",
    ],
    ids=["holds the output", "let go of everything", "empty environment", "two forks"],
)
def test_a_daemon_is_waited_for_by_nobody_and_outlives_nothing(sandbox, box, napping, daemon):
    assert lines_of(sandbox, f"{daemon.format(napping)} echo done", box) == ["done"]
    assert not processes_with(napping)


def test_output_beyond_the_bound_is_counted_and_dropped_in_one_line(kind, box):
    lines = lines_of(
        made(kind, Limits(output=1_000_000)), "yes abcdefg | head -c 100000000; echo the end", box
    )
    assert lines[:-1] == ["abcdefg"] * 125_000
    assert lines[-1].startswith("[99,000,008 more bytes of output were dropped")


def test_a_line_without_an_end_is_bounded_too(kind, box):
    lines = lines_of(
        made(kind, Limits(line=10)), "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next", box
    )
    assert lines == ["xxxxxxxxxx [2,999,990 more bytes of this line were dropped]", "next"]


def test_output_that_is_no_text_arrives_as_text(sandbox, box):
    lines = lines_of(sandbox, r"printf 'a\377b\000c\r\nno end'", box)
    assert lines == ["a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c", "no end"]


def test_a_command_that_fills_the_disk_is_ended(kind, box, tmp_path):
    floor = shutil.disk_usage(tmp_path).free - 200 * 2**20
    script = "i=0; while :; do i=$((i+1)); fallocate -l 64M media/$i; done"
    with pytest.raises(Failed, match="must stay free") as caught:
        made(kind, Limits(free=floor)).run(script, box, timeout=TIMEOUT, output=lambda _: None)
    assert caught.value.number == 406
    shutil.rmtree(tmp_path / "mount")


def test_a_file_larger_than_the_limit_is_not_written(kind, box, tmp_path):
    with pytest.raises(Failed, match="file of more than 1 MiB") as caught:
        made(kind, Limits(file=2**20)).run(
            "head -c 5000000 /dev/zero > media/x", box, timeout=TIMEOUT, output=print
        )
    assert caught.value.number == 407
    assert (tmp_path / "mount" / "x").stat().st_size == 2**20


class Interrupt(BaseException):
    """What a signal handler raises in the main thread."""


def test_an_interrupted_run_leaves_nothing_and_the_interrupt_goes_on(sandbox, box, napping):
    def interrupt(*_):
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupt):
            sandbox.run(
                f"setsid {napping} & echo ready; {napping}",
                box,
                timeout=TIMEOUT,
                output=lambda _: os.kill(os.getpid(), signal.SIGUSR1),
            )
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not processes_with(napping)


def start_elsewhere(kind, box, command):
    """The same run in another process, which has begun the command."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom branchline.adapters.sandbox import detect\n"
        "from branchline.ports import Box\nkind, tree, tag = sys.argv[1:]\n"
        "detect(kind).run(sys.stdin.read(), Box(tree=Path(tree), tag=tag), timeout=600, output=lambda x: print(x, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, kind, box.tree, box.tag],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(command)
    process.stdin.close()
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.kill
def test_nothing_outlives_the_process_that_ran_it(kind, sandbox, box, napping):
    process = start_elsewhere(kind, box, f"setsid env -i {napping} & echo ready; {napping}")
    assert processes_with(napping)
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not processes_with(napping))
    sandbox.kill_tagged(box.tag)


@pytest.mark.kill
def test_a_tag_s_processes_are_ended_and_no_others(kind, sandbox, box, napping):
    wanted = start_elsewhere(kind, box, f"setsid env -i {napping}1 & echo ready; {napping}1")
    other_box = Box(tree=box.tree, tag=box.tag + "0")
    other = start_elsewhere(kind, other_box, f"echo ready; exec {napping}2")
    sandbox.kill_tagged(box.tag)
    assert not processes_with(f"{napping}1")
    assert processes_with(f"{napping}2")
    sandbox.kill_tagged(other_box.tag)
    assert not processes_with(f"{napping}2")
    for process in (wanted, other):
        process.wait()
        process.stdout.close()
        assert process.returncode != 0
    assert not list(Path(tempfile.gettempdir()).glob(f"{scratch_name(box.tag)}*"))


def test_a_tag_without_processes_is_fine(sandbox):
    sandbox.kill_tagged("nobody has this one")


def test_a_server_answers_on_its_port_until_the_context_ends(sandbox, box):
    lines: list[str] = []
    (box.tree / "page").write_text("hello")
    with sandbox.serve(
        'exec python3 -u -m http.server "$PORT" --bind 127.0.0.1', box, output=lines.append
    ) as port:
        until(lambda: answer(port) == b"hello")
    assert answer(port) is None
    assert any("GET /page" in line for line in lines)


def answer(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/page", timeout=TIMEOUT) as response:
            return response.read()
    except OSError:
        return None


def test_a_server_is_ended_when_its_context_fails(sandbox, box, napping):
    begun = threading.Event()

    class UnhealthyError(Exception):
        pass

    with (
        pytest.raises(UnhealthyError),
        sandbox.serve(f"echo up; {napping}", box, output=lambda _: begun.set()),
    ):
        assert begun.wait(TIMEOUT)
        raise UnhealthyError
    assert not processes_with(napping)


def test_a_server_that_ends_by_itself_is_told_in_the_output(sandbox, box):
    lines: list[str] = []
    with sandbox.serve("echo up; exit 3", box, output=lines.append):
        until(lambda: len(lines) == 2)
    assert lines == ["up", "[the server ended by itself with exit code 3]"]


def test_a_server_that_fills_the_disk_is_ended_and_its_context_fails(kind, box, tmp_path, napping):
    floor = shutil.disk_usage(tmp_path).free + 2**30
    others = set(psutil.Process().children())
    with (
        pytest.raises(Failed, match="must stay free"),
        made(kind, Limits(free=floor)).serve(napping, box, output=print),
    ):
        until(lambda: set(psutil.Process().children()) <= others)


def test_a_tree_that_is_gone_is_said_to_be_missing(sandbox, tmp_path):
    with pytest.raises(BadInput, match="is missing") as caught:
        lines_of(sandbox, "true", Box(tree=tmp_path / "gone"))
    assert caught.value.number == 403


@pytest.mark.parametrize("place", ["../outside", "/etc", "", "media/../..", "a\0b"])
def test_a_mount_outside_the_tree_is_refused(sandbox, box, tmp_path, place):
    with pytest.raises(BadInput) as caught:
        sandbox.run(
            "true", Box(tree=box.tree, mounts={place: tmp_path / "mount"}), timeout=TIMEOUT, output=print
        )
    assert caught.value.number == 402


@pytest.mark.parametrize("make", [lambda _: None, Path.touch, lambda path: path.symlink_to("/etc")])
def test_a_tree_without_the_directory_of_a_mount_is_refused(sandbox, box, tmp_path, make):
    make(box.tree / "var")
    with pytest.raises(BadInput, match="no directory var") as caught:
        sandbox.run(
            "true", Box(tree=box.tree, mounts={"var": tmp_path / "mount"}), timeout=TIMEOUT, output=print
        )
    assert caught.value.number == 403


def test_a_variable_that_no_process_can_have_is_refused(sandbox, box):
    for variables in ({"A": "x\0--bind\0/\0/host"}, {"A=B": "x"}, {"": "x"}):
        with pytest.raises(BadInput) as caught:
            lines_of(sandbox, "true", Box(tree=box.tree, environment=variables))
        assert caught.value.number == 402
