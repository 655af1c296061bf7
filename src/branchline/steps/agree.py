"""Projections: what lies on the host is made to agree with the environment's row, never the other way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from branchline.domain.environment import Environment
from branchline.platform import Platform


def agree(platform: Platform, environment: Environment) -> None:
    """`current` points to the release that the row names, and the hold file is there while the row says so.

    The row is read under a lock, so whoever writes last writes what is true.
    """
    with _only_one(platform.layout.environment(environment)):
        row = platform.store.environments.by_id(environment.id)
        link = platform.layout.current(row)
        if row.deployment_id is None:
            link.unlink(missing_ok=True)
        else:
            _point(link, Path("releases") / row.deployment_id)
        show_hold(platform, row)


def agree_everywhere(platform: Platform) -> None:
    """All environments: for recovery, when somebody or something else has moved what is projected."""
    for project in platform.store.environments.projects():
        for environment in platform.store.environments.of(project):
            if environment.deployment_id is not None:
                agree(platform, environment)


def show_hold(platform: Platform, environment: Environment) -> None:
    """The hold file, as the row says."""
    file = platform.layout.hold_file(environment)
    if environment.hold_activity_id is None:
        file.unlink(missing_ok=True)
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(environment.hold_activity_id + "\n")


def _point(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    part = link.with_name(".current.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(link)
    directory = os.open(link.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
