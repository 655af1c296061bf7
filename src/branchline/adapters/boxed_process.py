"""One command of an application while it runs: its output within bounds, its time, the disk, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from branchline.adapters.marked_processes import end_marked, wait_ended
from branchline.errors import Failed
from branchline.ports import Output

RUN = "BRANCHLINE_RUN"
"""Names one run in the environment of its processes, so that its end ends nothing else."""

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30
_LOOK = 0.2
_CHUNK = 64 * _KIB
_FILE_TOO_LARGE = 128 + 25  # SIGXFSZ, as a shell tells it


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may use, in bytes."""

    line: int = 16 * _KIB
    """of one line of output; the rest of the line is counted and dropped"""
    output: int = 16 * _MIB
    """of all its output; the rest is counted and dropped"""
    file: int = 16 * _GIB
    """of one file that it writes"""
    scratch: int = _GIB
    """of its private /tmp, HOME and /dev/shm, each; they lie in memory (only with bubblewrap)"""
    free: int = 256 * _MIB
    """that must stay free on every disk that it may write to"""


class Lines:
    """Cuts a stream of bytes into lines for people: bounded, valid text whatever the bytes are."""

    def __init__(self, output: Output, limits: Limits) -> None:
        self._output = output
        self._limits = limits
        self._room = limits.output
        self._rest = b""
        self._cut = 0
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Passes on every line that is complete."""
        self._dropped += max(0, len(data) - self._room)
        data = data[: self._room]
        self._room -= len(data)
        *complete, rest = (self._rest + data).split(b"\n")
        for line in complete:
            self._emit(line)
        self._rest = rest[: self._limits.line]
        self._cut += len(rest) - len(self._rest)

    def finish(self) -> None:
        """Passes on an unfinished last line, and how much was dropped."""
        if self._rest:
            self._emit(self._rest)
            self._rest = b""
        if self._dropped:
            self._output(
                f"[{self._dropped:,} more bytes of output were dropped: {self._limits.output:,} are kept]"
            )
            self._dropped = 0

    def _emit(self, line: bytes) -> None:
        kept = line[: self._limits.line]
        cut = self._cut + len(line) - len(kept)
        self._cut = 0
        text = kept.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}").removesuffix("\r")
        self._output(f"{text} [{cut:,} more bytes of this line were dropped]" if cut else text)


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a command."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    watched: Sequence[Path]
    """directories on whose disks it may write"""
    status: int | None = None
    """read end of a pipe on which bubblewrap tells its child's number and exit code, as JSON"""
    pass_fds: Sequence[int] = ()
    """closed here once the command has them"""


class BoxedProcess:
    """A started command. To be made by `started`, which ends it whatever happens."""

    def __init__(
        self, start: Start, run: str, limits: Limits, output: Output, fds: contextlib.ExitStack
    ) -> None:
        self._start = start
        self._run = run
        self._limits = limits
        self._lines = Lines(output, limits)
        self._told = b""
        self._init: int | None = None
        self._fds = fds
        read, write = os.pipe()
        fds.callback(os.close, read)
        try:
            self._process = subprocess.Popen(
                start.arguments,
                env={**start.environment, RUN: run},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=start.pass_fds,
                start_new_session=True,
            )
        finally:
            os.close(write)
        os.set_blocking(read, False)
        self._output = read
        self._pidfd = os.pidfd_open(self._process.pid)
        fds.callback(os.close, self._pidfd)

    def finish(self, timeout: float | None = None) -> int:
        """Passes its output on until it has ended, and gives its exit code (128 + n after signal n).

        Raises Failed when it takes more seconds than `timeout` (405), when a disk gets full (406), when
        its box could not be made (409); it is ended then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._attend(deadline, timeout)
        except BaseException:
            self.kill()
            self.wait()
            raise
        finally:
            self._drain()
            self._lines.finish()
        return self._exit_code()

    def has_ended(self) -> bool:
        """Whether it has ended by now."""
        return wait_ended(self._pidfd, 0)

    def kill(self) -> None:
        """Ends it and all that it started."""
        ended = False
        while (
            not ended
        ):  # it is found by its environment, which it does not have yet while it is being started
            end_marked(f"{RUN}={self._run}".encode())
            ended = wait_ended(self._pidfd, 0.05)

    def wait(self) -> None:
        """Waits for the end of it and of all that it started."""
        self._process.wait()
        if self._start.status is not None:
            self._read_status()
        if self._init is not None:  # the first of a process namespace ends after all others in it
            wait_ended(self._init, None)

    def _attend(self, deadline: float | None, timeout: float | None) -> None:
        next_look = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            selector.register(self._output, selectors.EVENT_READ)
            if self._start.status is not None:
                selector.register(self._start.status, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(_LOOK)}
                if self._output in ready and not self._read_output():
                    selector.unregister(self._output)
                if self._start.status in ready and not self._read_status():
                    selector.unregister(self._start.status)
                if self._pidfd in ready:
                    self.wait()
                    return
                now = time.monotonic()
                if deadline is not None and now > deadline:
                    raise Failed(
                        405,
                        f"The command was ended: it took longer than {timeout:g} s.",
                        "see its output above",
                    )
                if now >= next_look:
                    self._look_at_disks()
                    next_look = now + _LOOK

    def _look_at_disks(self) -> None:
        for directory in self._start.watched:
            with contextlib.suppress(FileNotFoundError):
                free = shutil.disk_usage(directory).free
                if free < self._limits.free:
                    raise Failed(
                        406,
                        f"The command was ended: the disk under {directory} has {free // _MIB} MiB free, less than "
                        f"the {self._limits.free // _MIB} MiB that must stay free.",
                        "free some space, then repeat",
                    )

    def _read_output(self) -> bool:
        try:
            data = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return True
        self._lines.feed(data)
        return bool(data)

    def _drain(self) -> None:
        """Takes what is left in the pipe, and no more: something that got away may hold it open."""
        for _ in range(_MIB // _CHUNK):
            try:
                data = os.read(self._output, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            self._lines.feed(data)

    def _read_status(self) -> bool:
        assert self._start.status is not None
        try:
            data = os.read(self._start.status, _CHUNK)
        except BlockingIOError:
            return True
        self._told += data
        child = self._statuses().get("child-pid")
        if self._init is None and child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._init = os.pidfd_open(child)
                self._fds.callback(os.close, self._init)
        return bool(data)

    def _statuses(self) -> dict[str, int]:
        told: dict[str, int] = {}
        for line in self._told.splitlines(keepends=True):
            if line.endswith(b"\n"):
                told |= json.loads(line)
        return told

    def _exit_code(self) -> int:
        code = self._process.returncode
        if self._start.status is None:
            return code if code >= 0 else 128 - code
        told = self._statuses()
        if "exit-code" not in told:
            raise Failed(
                409, "bubblewrap could not make the box, or was ended.", "see its message in the output above"
            )
        return told["exit-code"]


@contextlib.contextmanager
def started(start: Start, run: str, limits: Limits, output: Output) -> Iterator[BoxedProcess]:
    """A command for the time of the context. Start it in the thread that stays with it: the command ends
    when the thread that started it does.
    """
    with contextlib.ExitStack() as fds:
        process = None
        try:
            try:
                process = BoxedProcess(start, run, limits, output, fds)
            finally:
                for fd in start.pass_fds:
                    os.close(fd)
            yield process
        except BaseException:
            if process is None:
                end_marked(f"{RUN}={run}".encode())
            else:
                process.kill()
                process.wait()
            raise


def raise_for(code: int, limits: Limits) -> None:
    """Raises Failed for an exit code that is not 0."""
    if code == _FILE_TOO_LARGE:
        raise Failed(
            407,
            f"The command ended with exit code {code}: it wrote a file of more than {limits.file // _MIB} MiB.",
            "write less, or raise the limit",
        )
    if code:
        raise Failed(404, f"The command ended with exit code {code}.", "its output says why")
