"""A promotion of a built artifact against the bare switch: what safety costs, and that no file is copied."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 5
FILES = 2_000
APP = "name: bench\ntype: python:3.11\n"
GIT = ("git", "-c", "user.name=bench", "-c", "user.email=bench@example.test")


def measure() -> list[dict[str, object]]:
    """`{job, against, ratio, at_most}` rows; the second one's ratio is the number of files copied."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["BRANCHLINE_HOME"] = f"{place}/home"
        source = Path(place, "source")
        _commit(source, 0, init=True)
        from branchline.launch import run_flow  # noqa: PLC0415 - after the home is set
        from branchline.steps.projects import init_project  # noqa: PLC0415
        from branchline.wiring import open_platform  # noqa: PLC0415

        platform = open_platform()
        made = init_project(platform, "bench", "pro", str(source))
        run_flow("deploy_environment", {"environment": "bench/master"})
        run_flow("promote_to_staging", {"project": "bench"})
        times, copied = [], 0
        for round_number in range(1, ROUNDS + 1):
            _commit(source, round_number)
            subprocess.run([*GIT, "push", "-q", str(made.repository), "HEAD:master"], cwd=source, check=True)
            run_flow("deploy_environment", {"environment": "bench/master"})
            before = _files(platform.layout.trees)
            times.append(_seconds(lambda: run_flow("promote_to_staging", {"project": "bench"})))
            copied += _files(platform.layout.trees) - before
        bare = [_seconds(lambda: _bare_switch(Path(place))) for _ in range(ROUNDS)]
        _make_writable(platform.layout.trees)
    return [
        {
            "job": f"promote an artifact of {FILES:,} files",
            "against": "link renamed + fsync",
            "ratio": round(statistics.median(times) / statistics.median(bare), 1),
            "at_most": None,
        },
        {"job": "files copied by those promotions", "against": "none", "ratio": copied, "at_most": 0},
    ]


def _commit(source: Path, number: int, *, init: bool = False) -> None:
    if init:
        (source / ".branchline").mkdir(parents=True)
        (source / ".branchline" / "app.yaml").write_text(APP)
        for each in range(FILES):
            (source / f"file{each}.txt").write_text(f"{each}\n" * 50)
        subprocess.run([*GIT, "init", "-q", "-b", "master"], cwd=source, check=True)
    (source / "round.txt").write_text(f"{number}\n")
    subprocess.run([*GIT, "add", "-A"], cwd=source, check=True)
    subprocess.run([*GIT, "commit", "-q", "-m", f"round {number}"], cwd=source, check=True)


def _bare_switch(place: Path) -> None:
    part, link = place / "current.part", place / "current"
    part.symlink_to("somewhere")
    part.replace(link)
    directory = os.open(place, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def _files(directory: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(directory))


def _seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def _make_writable(directory: Path) -> None:
    for parent, _, _ in os.walk(directory):
        Path(parent).chmod(0o755)
