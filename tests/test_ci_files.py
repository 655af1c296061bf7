"""The CI files that are there to be copied fit their published schemas, and the commands in them exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from branchline.cli import app
from scripts import write_reference

CI = Path(__file__).parents[1] / "deployments/ci"
FILES = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}


def check(file, schema):
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", schema, file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_its_published_schema(name):
    done = check(CI / name, FILES[name])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("github-actions.yml", "runs-on:", "run-on:"),
        ("gitlab-ci.yml", "when: manual", "when: by hand"),
    ],
)
def test_a_mistake_in_one_would_be_found(tmp_path, name, right, wrong):
    text = (CI / name).read_text()
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong))
    assert check(tmp_path / name, FILES[name]).returncode == 1


@pytest.mark.parametrize("name", FILES)
def test_every_command_in_one_exists_with_its_options(name):
    known = dict(write_reference.leaves(typer.main.get_command(app)))
    commands = re.findall(r"^[^#\n]*(branchline ci [^\n]*)", (CI / name).read_text(), re.MULTILINE)
    assert len(commands) == 3
    for line in commands:
        words = line.split()
        path = next(tuple(words[:length]) for length in (4, 3) if tuple(words[:length]) in known)
        options = {spelling for each in known[path].params for spelling in each.opts}
        assert {word for word in words if word.startswith("--")} <= options
        assert "--key" in words
        assert "--timeout" in words


def test_no_command_takes_text_that_somebody_else_writes_into_a_shell():
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    runs = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert len(runs) == 5
    assert not [run for run in runs if "${{" in run]
