"""The units in deployments/systemd, by systemd's own checker; and what a checker cannot know."""

import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from prefect.settings.legacy import Settings as PrefectSettings
from prefect.settings.legacy import _get_settings_fields

from branchline.cli import app as cli
from branchline.config import Settings
from branchline.launch.drain import LAST_SECONDS
from scripts import write_reference
from tests.workshop.home import CHECKOUT
from tests.workshop.thorough import ALL

BIN = Path(sys.executable).parent
UNITS = sorted((CHECKOUT / "deployments/systemd").glob("branchline-*"))
ENVIRONMENTS = [
    CHECKOUT / "deployments/systemd" / name for name in ("environment", "prefect-server.environment")
]
RUNS_APPLICATIONS = [
    unit for unit in UNITS if unit.suffix == ".service" and "prefect-server" not in unit.name
]
IN_BUBBLEWRAPS_WAY = {
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectProc",
    "ProcSubset",
    "SystemCallFilter",
    "PrivateUsers",
    "PrivateTmp",
    "DynamicUser",
    "MemoryDenyWriteExecute",
}
SECONDS = {"s": 1, "min": 60, "": 1}


def keys(unit: Path) -> dict[str, list[str]]:
    """What a unit says, by key."""
    said = defaultdict(list)
    for line in unit.read_text().splitlines():
        if re.match(r"[A-Z]\w+=", line):
            key, _, value = line.partition("=")
            said[key].append(value)
    return said


def variables(text: str) -> set[str]:
    return set(re.findall(r"\b((?:PREFECT|BRANCHLINE)_[A-Z_]+)=", text))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_it(unit: Path, tmp_path: Path) -> None:
    """Units name programs in /opt; those here are put in their place, so that they are there."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        missing = "systemd-analyze is not installed here"
        pytest.fail(missing) if ALL else pytest.skip(missing)
    for each in UNITS:
        (tmp_path / each.name).write_text(each.read_text().replace("/opt/branchline/.venv/bin", str(BIN)))
    done = subprocess.run(
        [analyze, "verify", "--man=no", f"./{unit.name}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", RUNS_APPLICATIONS, ids=lambda unit: unit.name)
def test_bubblewrap_can_work_where_applications_run(unit: Path) -> None:
    said = keys(unit)
    assert said.keys() & IN_BUBBLEWRAPS_WAY == set()
    assert {"user", "mnt", "pid", "ipc", "uts", "cgroup"} <= set(said["RestrictNamespaces"][0].split())


def test_a_worker_has_time_to_drain_before_it_is_killed() -> None:
    (worker,) = (unit for unit in UNITS if "worker@" in unit.name)
    said = keys(worker)
    amount, unit = re.fullmatch(r"(\d+)(\w*)", said["TimeoutStopSec"][0]).groups()
    assert int(amount) * SECONDS[unit] > Settings().drain + LAST_SECONDS + 60
    assert said["KillMode"] == ["process"]
    assert said["OOMPolicy"] == ["continue"]


def commands() -> Sequence[str]:
    found = [
        line
        for unit in UNITS
        for key, lines in keys(unit).items()
        if key.startswith("Exec")
        for line in lines
    ]
    words = [re.sub(r"^-?/bin/sh -c '.* exec (.*)'$", r"\1", line) for line in found]
    return [line.removeprefix("/opt/branchline/.venv/bin/") for line in words]


@pytest.mark.parametrize("line", commands())
def test_its_command_exists_with_its_options(line: str) -> None:
    program, *words = (word for word in shlex.split(line) if not word.startswith("$"))
    options = {word for word in words if word.startswith("--")}
    if program == "branchline":
        known = dict(write_reference.leaves(typer.main.get_command(cli)))
        assert options <= {
            spelling for each in known["branchline", words[0]].params for spelling in each.opts
        }
    else:
        assert program == "prefect"
        told = subprocess.run(
            [BIN / "prefect", *words[:2], "--help"], capture_output=True, text=True, check=True
        )
        assert [option for option in options if option not in told.stdout] == []


@pytest.mark.parametrize("file", [*UNITS, *ENVIRONMENTS], ids=lambda file: file.name)
def test_the_variables_that_it_sets_mean_something(file: Path) -> None:
    known = _get_settings_fields(PrefectSettings).keys()
    reference = (CHECKOUT / "docs/reference/configuration.md").read_text() + (
        CHECKOUT / "deployments/prefect.yaml"
    ).read_text()
    for name in variables(file.read_text()):
        assert name in known if name.startswith("PREFECT_") else name in reference, name


def test_an_example_holds_no_password_that_somebody_could_keep() -> None:
    for file in ENVIRONMENTS:
        for line in file.read_text().splitlines():
            if re.search(r"://\w+:|AUTH_STRING=", line):
                assert "CHANGE-ME" in line
