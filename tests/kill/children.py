"""The test's side of the zygote."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.workshop.home import CHECKOUT, Home


class Children:
    """Runs flows in children of one process that has everything imported."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(
        self, home: Home, flow: str, parameters: Mapping[str, Any], at: int | None
    ) -> tuple[int, list[str]]:
        """The child's exit code, negative for a signal, and its events when it ended by itself."""
        (code,) = self.run_many(home, flow, parameters, at=at)
        told = home.path / "told-0"
        return code, json.loads(told.read_text().splitlines()[-1]) if code >= 0 else []

    def run_many(
        self, home: Home, flow: str, parameters: Mapping[str, Any], *, times: int = 1, at: int | None = None
    ) -> list[int]:
        """The exit codes of so many children that run at once."""
        request = {
            "environ": home.environ,
            "flow": flow,
            "parameters": parameters,
            "at": at,
            "told": str(home.path / "told"),
            "times": times,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        codes: list[int] = json.loads(self._process.stdout.readline())
        return codes


@contextmanager
def children() -> Iterator[Children]:
    environ = {**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'src'}"}
    command = [sys.executable, "-m", "tests.kill.zygote"]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Children(process)
        assert process.stdin is not None
        process.stdin.close()
