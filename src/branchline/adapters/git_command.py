"""Git as Branchline runs it: GitPython with a clean environment, no hooks, no prompts, no rewritten history.

Git obeys dozens of inherited GIT_* variables; a hook of another repository, a shell or a service manager may have
set them. Here every one of them is dropped but for those that say how to reach a server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from branchline.errors import Failed

# Without this `import git` itself raises where git is not installed; so the first command says it instead.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import git
import git.exc

_INHERITED = frozenset({
    "GIT_ASKPASS",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
})  # fmt: skip
_CONFIGURATION = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "gc.auto": "0",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "GIT_AUTHOR_EMAIL": "branchline@localhost",
    "GIT_AUTHOR_NAME": "Branchline",
    "GIT_COMMITTER_EMAIL": "branchline@localhost",
    "GIT_COMMITTER_NAME": "Branchline",
    "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
} | {
    variable: value
    for number, setting in enumerate(_CONFIGURATION.items())
    for variable, value in zip(
        (f"GIT_CONFIG_KEY_{number}", f"GIT_CONFIG_VALUE_{number}"), setting, strict=True
    )
}

QUARANTINE = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH")
"""Where Git's pre-receive hook finds the objects of a push that was not accepted yet (see githooks, git-receive-pack)."""


class Git(git.Git):
    """GitPython's command, without the GIT_* variables that this process inherited."""

    def __init__(self, working_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__(working_dir)
        self.update_environment(**_ENVIRONMENT)
        if not {"GIT_SSH", "GIT_SSH_COMMAND"} & os.environ.keys():
            self.update_environment(GIT_SSH_COMMAND="ssh -oBatchMode=yes -oConnectTimeout=30")

    def execute(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """As GitPython's. Raises Failed where git is not installed."""
        given = self.environment().keys()
        dropped = [
            name
            for name in sorted(os.environ)
            if name.startswith("GIT_") and name not in _INHERITED and name not in given
        ]
        unset = ["env", *(part for name in dropped for part in ("-u", name))] if dropped else []
        try:
            return super().execute([*unset, *command], *args, **kwargs)
        except git.exc.GitCommandNotFound:
            raise Failed(150, "Git is not installed.", "apt-get install git") from None

    def run(self, *command: str) -> tuple[int, str, str]:
        """Runs one Git command to its end: exit status, output and error output, undecodable bytes escaped."""
        status, output, error = self.execute(
            [self.GIT_PYTHON_GIT_EXECUTABLE, *command],
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
        )
        return int(status), str(output, "utf-8", "surrogateescape"), str(error)

    def output(self, *command: str) -> str:
        """What one Git command prints. Raises Failed, with Git's own last words, when it does not succeed."""
        status, output, error = self.run(*command)
        if status:
            raise git_failed(command[0], status, error)
        return output


class Repository(git.Repo):
    """GitPython's repository over `Git`, deaf to a GIT_COMMON_DIR of another repository."""

    GitCommandWrapperType = Git
    git: Git

    @property
    def common_dir(self) -> str:
        """A bare repository is its own common directory."""
        return os.fspath(self.git_dir)


@contextmanager
def opened(path: Path, objects: Mapping[str, str]) -> Iterator[Repository]:
    """A bare repository, with no process left behind. Each caller gets its own: GitPython's is not for two threads.

    `objects` are the QUARANTINE variables, inside the pre-receive hook. Raises Failed where there is no repository.
    """
    try:
        repository = Repository(path, expand_vars=False)
    except (git.exc.InvalidGitRepositoryError, git.exc.NoSuchPathError):
        raise Failed(
            151, f"{path} is not a Git repository.", "branchline init makes one; or restore it from a backup"
        ) from None
    try:
        repository.git.update_environment(
            GIT_DIR=os.fspath(repository.git_dir), GIT_COMMON_DIR=None, **dict.fromkeys(QUARANTINE)
        )
        repository.git.update_environment(**objects)
        yield repository
    finally:
        repository.close()


def git_failed(command: str, status: int, error: str) -> Failed:
    """The error for a Git command that should have worked."""
    words = " ".join(plain(error).split())[-500:] or f"exit status {status}"
    return Failed(152, f"git {command} failed: {words}.", "check the repository: git fsck --full")


def plain(text: str) -> str:
    """Text from a repository as it may be shown: no control characters, no half characters."""
    readable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(character if character.isprintable() else " " for character in readable)
