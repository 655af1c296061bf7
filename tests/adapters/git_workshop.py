"""Real Git for the tests: a bare repository, a developer's checkout of it, and crafted objects."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from branchline.adapters.git import GitRepository, create_bare

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.test",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.test",
}


@dataclass(frozen=True)
class Pushed:
    accepted: bool
    said: str


@dataclass(frozen=True)
class Workshop:
    home: Path

    @property
    def bare(self) -> Path:
        return self.home / "project.git"

    @property
    def checkout(self) -> Path:
        return self.home / "checkout"

    @property
    def repository(self) -> GitRepository:
        return GitRepository(self.bare)

    def git(self, *command: str, at: Path | None = None, stdin: bytes = b"", **environment: str) -> str:
        done = self.run(*command, at=at, stdin=stdin, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode(errors="surrogateescape").strip()

    def run(
        self, *command: str, at: Path | None = None, stdin: bytes = b"", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *command],
            cwd=at or self.checkout,
            env=ENVIRONMENT | {"HOME": str(self.home)} | environment,
            input=stdin,
            capture_output=True,
            check=False,
        )

    def push(self, *what: str, **environment: str) -> Pushed:
        done = self.run("push", "origin", *what, **environment)
        return Pushed(done.returncode == 0, done.stderr.decode(errors="replace"))

    def commit(self, files: dict[str, str | bytes], subject: str = "change") -> str:
        """Commits files in the checkout (not pushed); gives the commit's id."""
        for name, content in files.items():
            path = self.checkout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def pushed(self, files: dict[str, str | bytes], branch: str = "master", subject: str = "change") -> str:
        commit = self.commit(files, subject)
        assert self.push("--force", f"HEAD:refs/heads/{branch}").accepted
        return commit

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", at=self.bare, stdin=content)

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """A tree as no honest Git writes it: mode, name and id of each entry, in the order given."""
        raw = b"".join(
            mode.encode() + b" " + name + b"\0" + bytes.fromhex(item) for mode, name, item in entries
        )
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", at=self.bare, stdin=raw)

    def commit_of(self, tree: str, *parents: str) -> str:
        options = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", tree, *options, "-m", "crafted", at=self.bare)


def workshop(home: Path) -> Workshop:
    made = Workshop(home)
    create_bare(made.bare)
    made.git("clone", "--quiet", str(made.bare), str(made.checkout), at=home)
    made.git("symbolic-ref", "HEAD", "refs/heads/master")
    return made
