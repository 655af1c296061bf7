"""Commands of one operator, in one process: reads `{"words", "input", "out"}` as JSON lines, answers with exit codes.

Prefect is imported once, and what it keeps between commands can leak as in a long-lived process.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

from branchline.domain.activity import Grip
from branchline.operation import Remover
from branchline.platform import Platform
from branchline.wiring import open_platform

REMOVED = "CANARY_REMOVED"
"""Names the directory that gets a copy of each data version before it is thrown away."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        with Path(asked["out"]).open("ab") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        code = typed(asked["words"], asked["input"])
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(f"{code}\n")
        answers.flush()


def typed(words: list[str], given: str) -> int:
    """The exit code of a command; with --debug what it raises is printed as Python prints it."""
    from branchline.cli import run  # noqa: PLC0415 - when the outputs are redirected

    sys.stdin = io.StringIO(given)
    os.environ.pop("BRANCHLINE_DEBUG", None)
    keep_what_is_removed(open_platform())
    try:
        return run(words)
    except BaseException:  # noqa: BLE001 - see above
        traceback.print_exc()
        return 1


def keep_what_is_removed(platform: Platform) -> None:
    removers = platform.operations.removers
    assert isinstance(removers, dict)
    remove: Remover = removers["data version"]
    if getattr(remove, "keeps", False):
        return

    def keep(grip: Grip, version_id: str) -> None:
        for kind in ("databases", "mounts"):
            for found in platform.layout.home.glob(f"environments/*/*/{kind}/*/{version_id}"):
                copy = Path(os.environ[REMOVED], found.relative_to(platform.layout.home))
                shutil.copytree(found, copy, dirs_exist_ok=True)
        remove(grip, version_id)

    keep.keeps = True  # type: ignore[attr-defined]
    removers["data version"] = keep


if __name__ == "__main__":
    main()
