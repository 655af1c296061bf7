"""What bubblewrap adds, which sandbox is chosen, and what becomes of a stream of output."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from branchline.adapters.boxed_process import Limits, Lines
from branchline.adapters.sandbox import Bubblewrap, InPlace, detect
from branchline.errors import BadInput, Failed, Refused
from branchline.ports import Box

TIMEOUT = 60.0


@pytest.fixture
def sandbox():
    sandbox = Bubblewrap()
    if reason := sandbox.reason_not_to_work():
        pytest.skip(f"bubblewrap does not work here: {reason}")
    return sandbox


@pytest.fixture
def box(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    return Box(tree=tree, tag=f"tag-{tmp_path.name}-{os.getpid()}")


def lines_of(sandbox, command, box):
    lines: list[str] = []
    sandbox.run(command, box, timeout=TIMEOUT, output=lines.append)
    return lines


def test_the_release_lies_at_app_and_cannot_be_written(sandbox, box):
    (box.tree / "file").write_text("as built")
    with pytest.raises(Failed, match="exit code 1"):
        lines_of(sandbox, "cd /app; rm -f file", box)
    assert (box.tree / "file").read_text() == "as built"


@pytest.mark.parametrize(
    "place", ["/usr/x", "/etc/x", "/x", "/dev/x", "/proc/sys/kernel/x", "/app/x", "/home/x"]
)
def test_nothing_can_be_written_outside_of_what_was_given(sandbox, box, place):
    with pytest.raises(Failed):
        lines_of(sandbox, f"mkdir {place}", box)


def test_no_file_of_the_host_is_in_sight_but_the_system_s(sandbox, box, tmp_path):
    secret = tmp_path / "state.db"
    secret.write_text("Branchline's own")
    (box.tree / "link").symlink_to(secret)
    (box.tree / "relative").symlink_to("../state.db")
    hidden = f"{secret} link relative /etc/shadow /etc/ssl/private /root /var /run /sys {Path.home()}"
    assert lines_of(sandbox, f"for place in {hidden}; do test ! -e $place || echo $place; done", box) == []
    assert set(lines_of(sandbox, "ls /", box)) <= {
        "app",
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "sbin",
        "tmp",
        "usr",
    }


def test_further_system_directories_are_shown_read_only(box, sandbox, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "version").write_text("1.2")
    more = Bubblewrap(system=[tools])
    assert lines_of(more, f"cat {tools}/version; echo; touch {tools}/x || echo refused", box)[0] == "1.2"
    assert [entry.name for entry in tools.iterdir()] == ["version"]


def test_no_process_in_the_box_has_a_capability_or_reaches_kernel_settings(sandbox, box):
    script = "grep -h '^Cap[PE]' /proc/self/status; test ! -w /proc/sys/kernel/core_pattern; test ! -w /proc/sysrq-trigger"
    assert {line.split()[1] for line in lines_of(sandbox, script, box)} == {"0000000000000000"}


def test_no_other_process_is_in_sight(sandbox, box):
    assert len(lines_of(sandbox, "ls -d /proc/[0-9]*; true", box)) <= 4


def test_memory_that_looks_like_disk_is_bounded(box, sandbox):
    small = Bubblewrap(limits=Limits(scratch=2**20))
    for place in ("/tmp", "$HOME", "/dev/shm"):
        with pytest.raises(Failed, match="exit code"):
            lines_of(small, f"head -c 3000000 /dev/zero > {place}/x", box)


def test_a_variable_reaches_neither_bubblewrap_nor_a_command_line(sandbox, box, tmp_path):
    """LD_PRELOAD and the like would run an application's code outside of its box; passwords would show in ps."""
    (box.tree / "flag").mkdir()
    (tmp_path / "flag").mkdir()
    secret = Box(
        tree=box.tree,
        mounts={"flag": tmp_path / "flag"},
        tag=box.tag,
        environment={"PLANTED": "the planted value"},
    )
    seen: list[str] = []

    def look(_line):
        for process in psutil.process_iter():
            try:
                if process.environ().get("BRANCHLINE_STEP") == box.tag:
                    seen.append(process.name())
                    assert "the planted value" not in " ".join(process.cmdline())
                    assert process.name() != "bwrap" or "PLANTED" not in process.environ()
            except psutil.Error:
                continue
        (tmp_path / "flag" / "seen").touch()

    sandbox.run("echo look; while test ! -e flag/seen; do :; done", secret, timeout=TIMEOUT, output=look)
    assert "bwrap" in seen


def test_a_box_that_cannot_be_made_is_not_told_as_the_command_s_failure(sandbox, box):
    lines: list[str] = []
    gone = Box(tree=box.tree, writable=[box.tree / "gone"])
    with pytest.raises(Failed, match="could not make the box") as caught:
        sandbox.run("true", gone, timeout=TIMEOUT, output=lines.append)
    assert caught.value.number == 409
    assert "gone" in lines[0]


def test_a_server_whose_box_cannot_be_made_fails_at_the_end_of_its_context(sandbox, box):
    lines: list[str] = []
    gone = Box(tree=box.tree, writable=[box.tree / "gone"])
    with (
        pytest.raises(Failed, match="could not make the box"),
        sandbox.serve("true", gone, output=lines.append),
    ):
        while not lines or any(process.name() == "bwrap" for process in psutil.Process().children()):
            pass


def test_auto_takes_bubblewrap_where_it_works(sandbox):
    assert detect("auto").kind == detect("bubblewrap").kind == "bubblewrap"


def test_none_is_taken_when_it_is_asked_for():
    assert detect("none").kind == InPlace.kind == "none"


@pytest.mark.parametrize("installed", [False, True], ids=["not installed", "no namespaces"])
def test_bubblewrap_that_does_not_work_is_replaced_or_refused(tmp_path, monkeypatch, installed):
    if installed:
        program = tmp_path / "bwrap"
        program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detect("auto").kind == "none"
    with pytest.raises(Refused, match="create new namespace" if installed else "not installed") as caught:
        detect("bubblewrap")
    assert caught.value.number == 401


def test_another_kind_of_sandbox_is_refused():
    with pytest.raises(BadInput) as caught:
        detect("docker")
    assert caught.value.number == 400


def test_without_bubblewrap_a_writable_tree_has_no_mounts(tmp_path):
    (tmp_path / "media").mkdir()
    box = Box(tree=tmp_path, tree_writable=True, mounts={"media": tmp_path})
    with pytest.raises(BadInput, match="writable tree"):
        InPlace().run("true", box, timeout=TIMEOUT, output=print)


def told(pieces, limits):
    lines: list[str] = []
    stream = Lines(lines.append, limits)
    for piece in pieces:
        stream.feed(piece)
    stream.finish()
    return lines


BYTES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\xff", b"\0", "ä".encode()])).map(b"".join)


@given(BYTES, st.data())
def test_lines_do_not_depend_on_how_the_bytes_arrive(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    limits = Limits(line=4, output=20)
    assert told(pieces, limits) == told([text], limits)


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1)))
def test_text_within_the_bounds_is_told_as_it_is(lines):
    assert told(["\n".join(lines).encode()], Limits()) == lines
