"""Archiving a tree of 20,000 files against Git and zstd doing it."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from branchline.adapters.artifact_store import FileArtifactStore

FILES = 20_000
ROUNDS = 3
WORDS = [
    f"{word}{number}"
    for word in ("order", "return", "public function ", "$this->", "/* note */")
    for number in range(400)
]


def measure() -> list[dict[str, object]]:
    """The ratio `{job, against, ratio, at_most}`: our time divided by the reference's, best of three each."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        tree = here / "tree"
        _plant(tree)
        _commit(tree, here / "git")
        store = FileArtifactStore(str(here / "store"))
        reference = _best(
            lambda: _shell(f"git --git-dir={here}/git archive HEAD | zstd -3 -q -f -o {here}/reference.zst")
        )
        put = _best(
            lambda: store.put(tree),
            before=lambda: [store.remove(digest) for digest in store.digests()],
        )
    return [
        {
            "job": f"archive a tree of {FILES:,} files",
            "against": "git archive | zstd",
            "ratio": round(put / reference, 2),
            "at_most": 3.0,
        }
    ]


def _plant(tree: Path) -> None:
    """Files like source code: 100 to a directory, half a kilobyte to eight."""
    chance = random.Random(1)
    for number in range(FILES):
        path = tree / f"module{number // 2000}" / f"part{number // 100}" / f"File{number}.php"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(chance.choices(WORDS, k=chance.randrange(50, 800))))


def _commit(tree: Path, repository: Path) -> None:
    git = f"git -c core.autocrlf=false -c gc.auto=0 --git-dir={repository} --work-tree={tree}"
    identity = "-c user.name=bench -c user.email=bench@example.test"
    _shell(
        f"git init -q --bare {repository} && {git} add -A && {git} {identity} commit -q -m tree && {git} gc -q"
    )


def _best(job: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    seconds = []
    for _ in range(ROUNDS):
        before()
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _shell(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)
