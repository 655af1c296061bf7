"""Runs an application's commands confined: by bubblewrap, or in place where there is none."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Protocol

from branchline.adapters.box_layout import TAG, environment, mount_points, scratch_name, shell
from branchline.adapters.boxed_process import BoxedProcess, Limits, Start, raise_for, started
from branchline.adapters.leftovers import owned_name, remove_tree
from branchline.adapters.marked_processes import end_marked
from branchline.errors import BadInput, BranchlineError, Failed, Refused
from branchline.ports import Box, Output, Sandbox

_APP = "/app"
_HOME = "/home/app"
_ETC = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "php",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "timezone",
]
_ROOT_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


_LIMITS = Limits()


def detect(kind: str, *, system: Sequence[Path] = (), limits: Limits = _LIMITS) -> Sandbox:
    """The sandbox of a kind: `bubblewrap`, `none`, or `auto`, which is bubblewrap where it works and else none.

    Raises BadInput (400) for another kind, Refused (401) when bubblewrap is asked for and does not work here.
    """
    if kind == "none":
        return InPlace(limits=limits)
    if kind not in ("auto", "bubblewrap"):
        raise BadInput(400, f"There is no sandbox {kind!r}.", "sandbox: auto, bubblewrap or none")
    boxes = Bubblewrap(system=system, limits=limits)
    reason = boxes.reason_not_to_work()
    if reason is None:
        return boxes
    if kind == "auto":
        return InPlace(limits=limits)
    raise Refused(401, f"bubblewrap does not work here: {reason}", "apt install bubblewrap, or sandbox: none")


class _Commands(Protocol):
    """What a kind has to say: how a command is started."""

    limits: Limits

    def preparation(self, command: str, box: Box) -> AbstractContextManager[Start]: ...


class _Running:
    """Runs and serves commands however they are started."""

    def run(self: _Commands, command: str, box: Box, *, timeout: float, output: Output) -> None:
        """As `Sandbox.run`. Raises Failed: 404 exit code, 405 time, 406 disk, 407 file size, 409 no box;
        BadInput: 402, 403.
        """
        run = secrets.token_hex(8)
        with (
            self.preparation(command, box) as start,
            started(start, run, self.limits, output) as process,
        ):
            raise_for(process.finish(timeout), self.limits)

    @contextlib.contextmanager
    def serve(self: _Commands, command: str, box: Box, *, output: Output) -> Iterator[int]:
        """As `Sandbox.serve`. The server may not listen yet, or may have ended: the caller probes. Raises at the end
        of the context what ended it early: 406, 409.
        """
        run = secrets.token_hex(8)
        port = _free_port()
        box = replace(box, environment={**box.environment, "PORT": str(port)})
        with (
            self.preparation(command, box) as start,
            started(start, run, self.limits, output) as process,
        ):
            attendant = _Attendant(process, output)
            attendant.start()
            try:
                yield port
            finally:
                attendant.stop()
            attendant.raise_what_happened()


class Bubblewrap(_Running):
    """Commands in a box of bubblewrap's: own process, IPC, UTS and cgroup namespaces, and a file system that has
    the release at /app, its mounts, the system's directories read-only, and nothing else.

    The network is shared with the host: the application has to be reached on loopback, and reaches its services so.
    Nothing in the box has a capability, root included; /proc is read-only, or root could write kernel settings.
    """

    kind = "bubblewrap"

    def __init__(self, *, system: Sequence[Path] = (), limits: Limits = _LIMITS) -> None:
        self.limits = limits
        self._system = system

    run = _Running.run
    serve = _Running.serve

    def kill_tagged(self, tag: str) -> None:
        """As `Sandbox.kill_tagged`. Raises Unavailable (408) when a process does not end."""
        end_marked(f"{TAG}={tag}".encode())

    def reason_not_to_work(self) -> str | None:
        """Why commands cannot run so on this machine, found by running one; None when they can."""
        if shutil.which("bwrap") is None:
            return "bwrap is not installed."
        said: list[str] = []
        with tempfile.TemporaryDirectory() as tree:
            try:
                self.run("true", Box(tree=Path(tree)), timeout=20, output=said.append)
            except BranchlineError as error:
                return " ".join((*said, error.message))
        return None

    @contextlib.contextmanager
    def preparation(self, command: str, box: Box) -> Iterator[Start]:
        """Arguments go through a file without a name: another user's `ps` does not show variables, and
        what an application wants in its environment, LD_PRELOAD say, never reaches bwrap itself.
        """
        mounts = mount_points(box)
        inside = environment(box, app=_APP, home=_HOME, tmp="/tmp")  # noqa: S108
        options = [*self._file_system(box, mounts)]
        for name, value in inside.items():
            options += ["--setenv", name, value]
        if any("\0" in option for option in options):
            raise BadInput(402, "A path contains a NUL character.", "rename it")
        read, write = os.pipe()
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, read)
            os.set_blocking(read, False)
            listing = _nameless_file("\0".join([*options, ""]))
            yield Start(
                arguments=[
                    "bwrap",
                    *("--args", str(listing), "--json-status-fd", str(write), "--"),
                    *shell(command, self.limits.file),
                ],
                environment={"PATH": os.environ.get("PATH", os.defpath), TAG: box.tag},
                watched=[*mounts.values(), *box.writable, *([box.tree] if box.tree_writable else [])],
                status=read,
                pass_fds=(listing, write),
            )

    def _file_system(self, box: Box, mounts: Mapping[PurePosixPath, Path]) -> Iterator[str]:
        scratch = ("--size", str(self.limits.scratch), "--tmpfs")
        yield from ("--die-with-parent", "--new-session", "--cap-drop", "ALL")
        yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
        yield from _system_directories()
        yield from ("--proc", "/proc", "--remount-ro", "/proc")
        yield from ("--dev", "/dev", *scratch, "/dev/shm", "--remount-ro", "/dev")  # noqa: S108
        yield from ("--perms", "1777", *scratch, "/tmp", "--perms", "0700", *scratch, _HOME)  # noqa: S108
        for directory in self._system:
            yield from ("--ro-bind", str(directory), str(directory))
        yield from ("--bind" if box.tree_writable else "--ro-bind", str(box.tree.resolve()), _APP)
        for place, source in mounts.items():
            yield from ("--bind", str(source), f"{_APP}/{place}")
        for directory in box.writable:
            yield from ("--bind", str(directory), str(directory))
        yield from ("--remount-ro", "/", "--chdir", _APP)


class InPlace(_Running):
    """Commands as ordinary processes of this user: no confinement but the user's own permissions.

    Environments share a release's tree, so each run sees a private directory of links instead: to each entry of
    the tree, and to each mount in its place. It is the current directory and BRANCHLINE_APP_DIR. A program that
    resolves links sees the tree, and has to look for its mounts through BRANCHLINE_APP_DIR. A writable tree (a
    build) is worked in directly, and has no mounts.
    """

    kind = "none"

    def __init__(self, *, limits: Limits = _LIMITS) -> None:
        self.limits = limits

    run = _Running.run
    serve = _Running.serve

    def kill_tagged(self, tag: str) -> None:
        """As `Sandbox.kill_tagged`, and removes what is left of the tag's private directories. Finds processes by
        their environment: one that emptied it is found only while what started it lives. Raises Unavailable (408).
        """
        end_marked(f"{TAG}={tag}".encode())
        for directory in Path(tempfile.gettempdir()).glob(f"{scratch_name(tag)}@*"):
            with contextlib.suppress(FileNotFoundError):  # its own process may be removing it too
                if directory.lstat().st_uid == os.geteuid():
                    remove_tree(directory)

    @contextlib.contextmanager
    def preparation(self, command: str, box: Box) -> Iterator[Start]:
        """A private directory with a HOME, a place for temporary files and the view of the release, for one run."""
        mounts = mount_points(box)
        if box.tree_writable and mounts:
            raise BadInput(
                402, "Without bubblewrap a writable tree cannot have mounts.", "apt install bubblewrap"
            )
        private = Path(tempfile.gettempdir(), owned_name(scratch_name(box.tag)))
        private.mkdir(mode=0o700)
        try:
            home, tmp, app = private / "home", private / "tmp", private / "app"
            home.mkdir()
            tmp.mkdir()
            if box.tree_writable:
                app = box.tree.resolve()
            else:
                _link_entries(box.tree.resolve(), app, mounts)
            yield Start(
                arguments=[
                    *(sys.executable, "-I", "-S", str(Path(__file__).with_name("in_place_supervisor.py"))),
                    *(str(os.getpid()), str(app), *shell(command, self.limits.file)),
                ],
                environment=environment(box, app=str(app), home=str(home), tmp=str(tmp)),
                watched=[*mounts.values(), *box.writable, app, private],
            )
        finally:
            remove_tree(private)


class _Attendant(threading.Thread):
    """Passes a server's output on for as long as it runs."""

    def __init__(self, process: BoxedProcess, output: Output) -> None:
        super().__init__(name="sandbox output", daemon=True)
        self._process = process
        self._output = output
        self._stopping = False
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            code = self._process.finish()
            if not self._stopping:
                self._output(f"[the server ended by itself with exit code {code}]")
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked for the server
            no_box = isinstance(error, Failed) and error.number == 409  # noqa: PLR2004 - what a killed one says too
            if not (self._stopping and no_box):
                self._error = error

    def stop(self) -> None:
        self._stopping = not self._process.has_ended()
        self._process.kill()
        self.join()

    def raise_what_happened(self) -> None:
        if self._error is not None:
            raise self._error


def _system_directories() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _ROOT_DIRECTORIES:
        directory = Path("/", name)
        if directory.is_symlink():
            yield from ("--symlink", str(directory.readlink()), str(directory))
        else:
            yield from ("--ro-bind-try", str(directory), str(directory))
    for name in _ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _nameless_file(text: str) -> int:
    """A file descriptor, at the start of the text."""
    fd = os.memfd_create("arguments")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(os.fsencode(text))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _link_entries(tree: Path, view: Path, mounts: Mapping[PurePosixPath, Path]) -> None:
    view.mkdir()
    for entry in tree.iterdir():
        here = PurePosixPath(entry.name)
        below = {place.relative_to(here): source for place, source in mounts.items() if here in place.parents}
        if below:
            _link_entries(entry, view / entry.name, below)
        else:
            (view / entry.name).symlink_to(mounts.get(here, entry))
