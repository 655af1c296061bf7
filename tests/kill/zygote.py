"""Runs flows in children that end by SIGKILL at a chosen point. Imports once, forks for each: no thread runs here.

A point is a place between two events: a transaction of the state database that is about to commit, something about
to be changed in the file system or started as a process, or a statement about to change something on a database
server. The events are found by running: Python's audit events tell of files and processes, `StateDatabase.write` is
where every journal entry passes, and the two drivers' own methods where every statement does.
"""

import itertools
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pymysql
from sqlalchemy.orm import Session

from branchline import wiring
from branchline.launch import run_flow
from branchline.state.database import StateDatabase
from flows import (  # noqa: F401 - imported before the fork
    build_artifact,
    deactivate_environment,
    deploy_environment,
    promotion,
    roll_back_environment,
    run_release,
    sync_data,
)

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "subprocess.Popen"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STATEMENTS = ("CREATE", "DROP", "ALTER", "GRANT", "REVOKE", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


def main() -> None:
    """One request per line, one answer per line: the exit codes of so many children at once."""
    for line in sys.stdin:
        request = json.loads(line)
        started = []
        for number in range(request.pop("times")):
            child = os.fork()
            if child == 0:
                _run(**{**request, "told": f"{request['told']}-{number}"})
            started.append(child)
        ended = [os.waitpid(child, 0)[1] for child in started]
        print(json.dumps([os.waitstatus_to_exitcode(status) for status in ended]), flush=True)


def _run(environ: dict[str, str], flow: str, parameters: dict[str, Any], at: int | None, told: str) -> None:
    """Kills itself before event number `at`; runs to the end without one, and tells the events. Exits as the
    command line does.
    """
    os.environ.update(environ)
    tempfile.tempdir = environ["TMPDIR"]
    output = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    counter = itertools.count()
    events: list[str] = []

    def happen(event: str) -> None:
        if next(counter) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        events.append(event)

    _listen(happen, environ["BRANCHLINE_HOME"], environ["TMPDIR"])
    code = 0
    try:
        run_flow(flow, parameters)
    except BaseException as error:  # noqa: BLE001 - told
        events.append(f"raised {error!r}")
        code = getattr(error, "exit_code", 1)
    os.write(1, json.dumps(events).encode())
    os._exit(code)


def _listen(happen: Callable[[str], None], *roots: str) -> None:
    write, main_thread = StateDatabase.write, threading.main_thread()

    @contextmanager
    def written(database: StateDatabase) -> Iterator[Session]:
        with write(database) as session:
            yield session
            session.flush()
            if threading.current_thread() is main_thread:
                happen(f"write {_caller()}")

    def audited(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES and event != "open":
            return
        if threading.current_thread() is main_thread and _changes(event, arguments, roots):
            happen(f"{event} {arguments[0]!s}")

    def stated(statement: object) -> None:
        if threading.current_thread() is main_thread and str(statement).lstrip().startswith(STATEMENTS):
            happen(f"sql {' '.join(str(statement).split()[:2])}")

    StateDatabase.write = written  # type: ignore[method-assign]
    for kind, method in ((psycopg.Cursor, "execute"), (pymysql.connections.Connection, "query")):
        _tell_before(kind, method, stated)
    wiring.open_platform()
    sys.addaudithook(audited)


def _tell_before(kind: type, method: str, tell: Callable[[object], None]) -> None:
    """What `method` is called with first, each time."""
    called = getattr(kind, method)

    def told(self: object, statement: object, *arguments: Any, **options: Any) -> Any:
        tell(statement)
        return called(self, statement, *arguments, **options)

    setattr(kind, method, told)


def _changes(event: str, arguments: tuple[Any, ...], roots: tuple[str, ...]) -> bool:
    if event == "subprocess.Popen":
        command = [str(each) for each in arguments[1]]
        return "git" not in command or "update-ref" in command
    if event == "open" and not (arguments[2] or 0) & WRITING:
        return False
    path = arguments[0]
    return not isinstance(path, int) and (
        not os.fsdecode(path).startswith("/") or os.fsdecode(path).startswith(roots)
    )


def _caller() -> str:
    frame = sys._getframe(2)
    while "branchline/state/" not in frame.f_code.co_filename or frame.f_code.co_filename.endswith(
        "database.py"
    ):
        assert frame.f_back is not None
        frame = frame.f_back
    told = [str(frame.f_locals[name]) for name in ("name", "kind", "state") if name in frame.f_locals]
    return f"{frame.f_code.co_qualname}({', '.join(told)})"


if __name__ == "__main__":
    main()
