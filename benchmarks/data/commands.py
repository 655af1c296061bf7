"""Running and timing commands: each in a process group of its own that is ended when it takes too long."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

LIMIT = 300.0
"""Seconds that one timed run may take."""

COMPLAINT = 3
"""Lines of what a command said at its end that are told."""


class DidNotRun(Exception):  # noqa: N818 - says what happened, as the project's errors do
    """A command failed or took too long; says which and why."""


def run(
    *pipeline: Sequence[str],
    environment: Mapping[str, str] | None = None,
    text: Iterable[bytes] = (),
    directory: Path | None = None,
    limit: float = LIMIT,
) -> tuple[float, str]:
    """Runs commands that feed each other; gives the seconds they took and what the last one printed.

    `text` goes to the first. Raises DidNotRun when one fails, with the end of its complaint, or after `limit` seconds.
    """
    started = time.perf_counter()
    processes = _started(pipeline, {**os.environ, **(environment or {})}, directory)
    first, last = processes[0], processes[-1]
    assert first.stdin is not None
    with suppress(BrokenPipeError):
        for part in text:
            first.stdin.write(part)
        first.stdin.close()
    first.stdin = None
    try:
        printed, complaint = last.communicate(timeout=limit)
        ends = [process.wait(10) for process in processes]
    except subprocess.TimeoutExpired:
        _end(processes)
        raise DidNotRun(f"{_name(pipeline[-1])} was ended after {limit:.0f} s") from None
    seconds = time.perf_counter() - started
    for command, process, end in zip(pipeline, processes, ends, strict=True):
        said = complaint if process is last else b""
        if end:
            lines = said.decode(errors="replace").strip().splitlines()
            raise DidNotRun(f"{_name(command)} ended with {end}: {' '.join(lines[-COMPLAINT:])}")
    return seconds, printed.decode()


def _started(
    pipeline: Sequence[Sequence[str]], environment: Mapping[str, str], directory: Path | None
) -> list[subprocess.Popen[bytes]]:
    processes: list[subprocess.Popen[bytes]] = []
    before: IO[bytes] | int | None = subprocess.PIPE
    for command in pipeline:
        is_last = command is pipeline[-1]
        process = subprocess.Popen(
            command,
            stdin=before,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if is_last else None,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
        if processes and processes[-1].stdout is not None:
            processes[-1].stdout.close()
        before = process.stdout
        processes.append(process)
    return processes


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _name(command: Sequence[str]) -> str:
    return Path(command[0]).name
