"""An engine's own client programs at work: their output in blocks of whole lines, and their end.

Rows go through them as lines of text, so no row becomes a Python object, and reading, masking and writing overlap. What they
print on their error output may quote values: it stays in memory, only `Client.refusal` looks at it, and an adapter says what
may be told.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import IO, Protocol, TypeVar

BLOCK_BYTES = 4 * 2**20
"""Of all blocks but the first. Smaller ones take longer, larger ones take memory (benchmarks.md)."""
PIPE_BYTES = 2**20
SET_PIPE_SIZE = 1031
ENDING_SECONDS = 10


class Client:
    """One running client program. Its pipes are raw: what is written is taken at once."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
    ) -> None:
        self._errors = os.fdopen(os.memfd_create("errors"), "r+b")
        self._process = subprocess.Popen(
            list(command),
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **environment},
            stdin=stdin,
            stdout=stdout,
            stderr=self._errors,
            bufsize=0,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _widen(pipe)

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def refusal(self) -> str | None:
        """Waits for its end; None where that is a success, else what it printed, which may quote values."""
        if self._process.wait() == 0:
            return None
        self._errors.seek(0)
        return self._errors.read(64 * 1024).decode("utf-8", "replace") or "it ended without a word"

    def interrupt(self) -> None:
        """Tells it to end, if it has not ended by itself: whoever waits for its pipes then wakes up."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Ends it, if it has not ended by itself, and before its input does: an input that ends is not one cut short."""
        self.interrupt()
        try:
            self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._errors.close()


class Interruptible(Protocol):
    def interrupt(self) -> None:
        """From another thread: whoever waits for it then wakes up."""

    def close(self) -> None: ...


_Running = TypeVar("_Running", bound=Interruptible)


class Clients:
    """Those that run for one purpose, to be interrupted together."""

    def __init__(self) -> None:
        self._running: set[Interruptible] = set()
        self._ended = False
        self._changing = Lock()

    @contextmanager
    def running(self, client: _Running) -> Iterator[_Running]:
        """Ended with the context, whatever happens in it."""
        with self._changing:
            self._running.add(client)
            if self._ended:
                client.interrupt()
        try:
            yield client
        finally:
            with self._changing:
                self._running.discard(client)
            client.close()

    def interrupt(self) -> None:
        """All that run, and all that are still begun: from any thread, at any time."""
        with self._changing:
            self._ended = True
            for client in self._running:
                client.interrupt()


@contextmanager
def in_memory(name: str) -> Iterator[Path]:
    """A file for clients that this process starts, of which nothing is left when it is killed."""
    file = os.memfd_create(name)
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{file}")
    finally:
        os.close(file)


def line_blocks(pipe: IO[bytes]) -> Iterator[bytes]:
    """All that comes, cut behind a line's end. The first block is small, for nothing else is done until it is there. A line longer than
    a block makes a longer block.
    """
    waiting, wanted = io.BytesIO(), PIPE_BYTES
    while piece := pipe.read(PIPE_BYTES):
        cut = piece.rfind(b"\n") + 1 if waiting.tell() + len(piece) >= wanted else 0
        if cut:
            waiting.write(piece[:cut])
            yield waiting.getvalue()
            waiting, wanted = io.BytesIO(), BLOCK_BYTES
        waiting.write(piece[cut:])
    if waiting.tell():
        yield waiting.getvalue()


def pieces(pipe: IO[bytes]) -> Iterator[bytes]:
    """All that comes, cut anywhere."""
    return iter(lambda: pipe.read(PIPE_BYTES), b"")


def _widen(pipe: IO[bytes]) -> None:
    import fcntl  # noqa: PLC0415 - Linux only, like the constant

    with suppress(OSError):
        fcntl.fcntl(pipe, SET_PIPE_SIZE, PIPE_BYTES)
