"""Another process with a state database of its own opening, which does what a test says and tells how far it is."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import dedent

BEFORE = """
import sys
from sqlalchemy import insert, select, text, update
from branchline.errors import BranchlineError
from branchline.state import database, tables

def say(word):
    print(word, flush=True)

def wait():
    sys.stdin.readline()

url = sys.argv[1]
"""
AROUND = """
try:
{body}
except BranchlineError as error:
    say(f"B{{error.number}}")
"""


@dataclass(frozen=True)
class AnotherProcess:
    process: "subprocess.Popen[str]"

    def says(self) -> str:
        """The next word; nothing when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def another_process(url: str, body: str) -> Iterator[AnotherProcess]:
    """Runs `body`, which has `url`, `database`, `say(word)` and `wait()`; an error of Branchline's is said as B301."""
    lines = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
    command = [sys.executable, "-c", BEFORE + AROUND.format(body=lines), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield AnotherProcess(process)
        finally:
            process.kill()
