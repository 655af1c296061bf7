"""What `up` starts is started again when it ends, given up when that does not help, and gone when `up` is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from branchline.errors import Failed
from branchline.launch import children
from branchline.launch.children import MOST_ENDS, Child
from tests.workshop.waiting import until


def child(tmp_path: Path, code: str) -> Child:
    return Child("worker", (sys.executable, "-c", code), os.environ, tmp_path / "prefect/worker.log")


def ended(one: Child) -> str:
    """What is said when it has ended."""
    said: list[str] = []
    until(lambda: said.append(words) or True if (words := one.look()) else False)
    return said[0]


def test_one_that_ends_is_started_again_later_and_later(tmp_path: Path) -> None:
    one = child(tmp_path, "raise SystemExit(3)")
    one.start()
    assert ended(one) == "the worker ended with 3; it is started again in 1 s"
    assert one.look() is None
    assert one.process is None
    one.start_at = 0.0
    assert ended(one) == "the worker ended with 3; it is started again in 2 s"


def test_one_that_ends_again_and_again_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    one = child(tmp_path, "print('no room'); raise SystemExit(3)")
    for _ in range(MOST_ENDS - 1):
        one.start_at = 0.0
        ended(one)
    one.start_at = 0.0
    with pytest.raises(
        Failed, match=r"The worker ended 5 times within 5 minutes\. It said: no room"
    ) as given_up:
        ended(one)
    assert given_up.value.hint == f"read {one.log}"


def test_one_that_does_not_end_when_it_is_asked_is_killed(tmp_path: Path) -> None:
    one = child(
        tmp_path,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)",
    )
    one.start()
    until(lambda: "on" in one.log.read_text())
    assert one.process is not None
    process = psutil.Process(one.process.pid)
    one.stop(0.1)
    assert not process.is_running()
    one.stop()


def test_ctrl_c_reaches_it_only_when_it_is_sent_to_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        one = child(tmp_path, "import time; print('on', flush=True); time.sleep(600)")
        one.start()
        until(lambda: "on" in one.log.read_text())
        assert one.process is not None
        assert os.getpgid(one.process.pid) != os.getpgid(0)
        one.process.send_signal(signal.SIGINT)
        assert ended(one).startswith(f"the worker ended with {-signal.SIGINT}")
    finally:
        signal.signal(signal.SIGINT, before)


def test_one_ends_when_what_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom branchline.launch.children import Child\n"
        f"one = Child('worker', {[sys.executable, '-c', 'import time; time.sleep(600)']}, os.environ, Path({str(tmp_path / 'log')!r}))\n"
        "one.start()\nprint(one.process.pid, flush=True)\ntime.sleep(600)\n"
    )
    words: Sequence[str] = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until(lambda: "sleep(600)" in " ".join(psutil.Process(pid).cmdline()[-1:]))
        parent.kill()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_a_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LONGEST_LOG", 10)
    one = child(tmp_path, "import time; print('first, and long', flush=True); input(); time.sleep(600)")
    one.log.parent.mkdir()
    one.log.write_text("what was said before\n")
    one.look()
    assert one.log.with_suffix(".1.log").read_text() == "what was said before\n"
    assert one.log.stat().st_size < 10
    one.stop()
