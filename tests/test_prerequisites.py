"""scripts/check_prerequisites.sh: what is missing is said with the command that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_prerequisites.sh"
SHELL = "/bin/sh"


@pytest.fixture
def tools(tmp_path):
    """A PATH of its own, on which everything is that Branchline asks for."""
    for name in ("python3", "git", "bwrap"):
        put(tmp_path, name, "exit 0")
    return tmp_path


def put(tools, name, script):
    (tools / name).write_text(f"#!{SHELL}\n{script}\n")
    (tools / name).chmod(0o755)


def check(tools, *python):
    return subprocess.run(
        [SHELL, SCRIPT, *python], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )


def test_a_complete_machine_is_accepted_without_a_word(tools):
    done = check(tools)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_git_is_said_with_the_command_that_installs_it(tools):
    (tools / "git").unlink()
    done = check(tools)
    assert done.returncode == 1
    assert "missing: git" in done.stderr
    assert "sudo apt-get install git" in done.stderr


def test_python_without_venv_is_said_with_the_command_that_installs_it(tools):
    put(tools, "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = check(tools)
    assert done.returncode == 1
    assert "sudo apt-get install python3-venv" in done.stderr


def test_an_old_python_is_said_with_its_version(tools):
    put(tools, "python3", 'case "$*" in *version_info*) exit 1;; -V) echo Python 3.9.2;; esac')
    done = check(tools)
    assert done.returncode == 1
    assert "Python 3.9.2" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_missing_python_is_said_by_the_name_that_was_asked_for(tools):
    done = check(tools, "python3.99")
    assert done.returncode == 1
    assert "missing: python3.99" in done.stderr


def test_everything_that_is_missing_is_said_at_once(tools):
    (tools / "git").unlink()
    (tools / "python3").unlink()
    assert check(tools).stderr.count("missing: ") == 2


def test_bubblewrap_is_optional_and_its_absence_is_said(tools):
    (tools / "bwrap").unlink()
    done = check(tools)
    assert done.returncode == 0
    assert "unconfined" in done.stderr
    assert "sudo apt-get install bubblewrap" in done.stderr


def test_a_python_that_can_make_a_virtual_environment_passes(tools):
    pytest.importorskip("ensurepip", reason="this Python came without it, so the script must refuse it")
    done = check(tools, sys.executable)
    assert (done.returncode, done.stderr) == (0, "")
