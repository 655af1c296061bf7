"""A Branchline of its own for a test: a home, a configuration, a checkout to push from."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from branchline import wiring
from branchline.adapters.leftovers import remove_tree
from branchline.launch import run_flow
from branchline.platform import Platform
from branchline.steps.projects import init_project
from branchline.steps.summary import Summary

CHECKOUT = Path(__file__).parents[2]
PROJECT = "store"
QUIET_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "A"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "a@harbour.test"),
}


@dataclass(frozen=True)
class Home:
    """Everything lies below `path`, temporary files too; the state elsewhere, with a URL. Processes and flows see it
    through `environ`."""

    path: Path
    state_url: str | None = None

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            **QUIET_GIT,
            "BRANCHLINE_HOME": str(self.path / "home"),
            "BRANCHLINE_CONFIG": str(self.path / "config"),
            "BRANCHLINE_ACTOR": "ann",
            "TMPDIR": str(self.path / "tmp"),
            **({"BRANCHLINE_STATE_URL": self.state_url} if self.state_url else {}),
        }

    def make(self, settings: Mapping[str, Any] | None = None) -> "Home":
        """The directories and the configuration, with the shipped plans but quick to forget: so that it prunes."""
        for name in ("home", "config", "tmp", "checkout"):
            (self.path / name).mkdir(parents=True)
        self.configure(settings or {})
        plans = yaml.safe_load((CHECKOUT / "config/plans.yaml").read_text())
        plans["plans"]["pro"] |= {"kept_deployments": 2, "data_retention": 0}
        (self.path / "config/plans.yaml").write_text(yaml.safe_dump(plans))
        self._git("init", "-q", "-b", "master")
        return self

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Replaces the settings; what the tests need everywhere is there already."""
        everywhere = {"production_without_sandbox": True, "disk_floor": 0}
        (self.path / "config/branchline.yaml").write_text(yaml.safe_dump(everywhere | dict(settings)))

    def commit(self, files: Mapping[str, str], subject: str = "A change") -> str:
        """Commits these files in place of all before; gives the commit id."""
        checkout = self.path / "checkout"
        for old in checkout.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for name, text in files.items():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout / name).write_text(text)
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", subject)
        return self._git("rev-parse", "HEAD").strip()

    def push(self, branch: str = "master") -> None:
        """The checkout's HEAD to a branch of the project, past its hooks, which take two seconds: `tests.workshop.pushing` has them run."""
        without_hooks = f"git -c core.hooksPath={os.devnull} receive-pack"
        repository = self.path / f"home/repositories/{PROJECT}.git"
        self._git("push", "-q", "--receive-pack", without_hooks, str(repository), f"HEAD:{branch}")

    def init(self) -> None:
        """The project, with what is committed."""
        with self.opened() as platform:
            init_project(platform, PROJECT, "pro", str(self.path / "checkout"))

    @contextmanager
    def opened(self) -> Iterator[Platform]:
        """This process works in this home; gives its platform. Nothing is kept open afterwards."""
        before, directory = dict(os.environ), tempfile.tempdir
        os.environ.update(self.environ)
        tempfile.tempdir = str(self.path / "tmp")
        wiring._platform.cache_clear()
        try:
            platform = wiring.open_platform()
            yield platform
            platform.store.database.close()
        finally:
            wiring._platform.cache_clear()
            tempfile.tempdir = directory
            os.environ.clear()
            os.environ.update(before)

    def run(self, flow: str, **parameters: Any) -> Summary:
        """A flow, in this process."""
        with self.opened():
            return run_flow(flow, parameters)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The command `branchline`, in a process of its own."""
        command = [str(Path(sys.executable).with_name("branchline")), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env={**os.environ, **self.environ}, **{**pipes, **options})

    def copy_to(self, path: Path) -> "Home":
        """A copy. It can be used only when it is moved back to where it was made: trees are linked to by absolute paths."""
        shutil.copytree(self.path, path, symlinks=True)
        return Home(path)

    def remove(self) -> None:
        remove_tree(self.path)

    def _git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path / "checkout",
            env={**os.environ, **QUIET_GIT},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
