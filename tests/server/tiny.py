"""A tiny application, and a Branchline home with projects of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from branchline.launch import run_flow
from branchline.platform import Platform
from branchline.steps.projects import init_project
from branchline.wiring import CHECKOUT, open_platform

FILES = {
    ".branchline/app.yaml": """\
name: tiny
type: "python:3.11"
hooks:
  build: cp version built
  deploy: |
    python3 migrate.py
    if [ -f wait ]; then echo "the hook waits"; exec sleep "$(cat wait)"; fi
migrations: exclusive
relationships: {database: "db:sqlite"}
checks: {commands: ["test -f built"]}
""",
    ".branchline/services.yaml": 'db: {type: "sqlite:3", disk: 64}\n',
    ".branchline/sanitize.yaml": """\
tables:
  customers: {columns: {id: keep, email: email}}
""",
    "migrate.py": """\
import base64, json, os, sqlite3

told = json.loads(base64.b64decode(os.environ["BRANCHLINE_RELATIONSHIPS"]))
with sqlite3.connect(told["database"][0]["path"]) as database:
    database.execute("CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, email TEXT NOT NULL)")
    database.execute("INSERT INTO customers (email) VALUES ('ada@somewhere.example')")
    print("customers:", database.execute("SELECT count(*) FROM customers").fetchone()[0])
""",
    "version": "1\n",
}


@dataclass(frozen=True)
class Home:
    """Where Branchline keeps everything, and its configuration."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process of it needs."""
        return {"BRANCHLINE_HOME": str(self.root / "home"), "BRANCHLINE_CONFIG": str(self.root / "config")}

    @property
    def platform(self) -> Platform:
        return open_platform()

    def project(self, name: str) -> None:
        """One more, with the application on `master`, deployed nowhere."""
        init_project(self.platform, name, "pro", str(self.root / "source"))

    def push(self, project: str, **files: str) -> None:
        """A commit on `master` that writes these files."""
        work = self.root / f"work-{project}"
        if not work.exists():
            _git(self.root, "clone", "-q", str(self.root / "home/repositories" / f"{project}.git"), str(work))
        for path, text in files.items():
            (work / path).write_text(text)
        _commit(work, "change " + ", ".join(files))
        _git(work, "push", "-q", "origin", "HEAD:master")

    def files(self, project: str) -> set[str]:
        """All that lies in the project's environments."""
        root = self.root / "home/environments" / project
        return {str(path.relative_to(root)) for path in root.rglob("*")}


@contextlib.contextmanager
def made_home(root: Path) -> Iterator[Home]:
    """For the time of the context, this process works with it too."""
    source = root / "source"
    for path, text in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    _git(source, "init", "-q", "-b", "master")
    _commit(source, "the tiny application")
    (root / "config").mkdir()
    shutil.copy(CHECKOUT / "config/plans.yaml", root / "config")
    (root / "config/branchline.yaml").write_text("production_without_sandbox: true\ndisk_floor: 1MiB\n")
    home = Home(root)
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith(("BRANCHLINE_", "PREFECT_"))]:
            patch.delenv(name)
        for name, value in home.environment.items():
            patch.setenv(name, value)
        yield home


def deploy(environment: str) -> Any:
    """Without a Prefect server."""
    return run_flow("deploy_environment", {"environment": environment})


def promote(tier: str, project: str) -> Any:
    """Without a Prefect server."""
    return run_flow(f"promote_to_{tier}", {"project": project})


def _commit(work: Path, message: str) -> None:
    _git(work, "add", "-A")
    _git(work, "-c", "user.name=Ada", "-c", "user.email=ada@example.test", "commit", "-q", "-m", message)


def _git(where: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(where), *arguments], check=True)
