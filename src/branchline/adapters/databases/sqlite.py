"""SQLite: one service, its versions as files `<root>/<name>/data.db`.

Each version has a directory of its own, because a sandboxed hook is given the directory: SQLite writes
beside the file, and no hook should reach another version.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from branchline.adapters.databases.sqlite_connection import connect, make_durable, scrubbed
from branchline.errors import BadInput, Refused
from branchline.ports import Loader, Snapshot

_BESIDE = ("-journal", "-wal", "-shm", "")  # the file itself goes last: while it is there the name is known


class SqliteDatabase:
    """Implements `branchline.ports.Database` over a directory that holds nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, name: str) -> None:
        path = self._path(name)
        self._claim(path)
        make_durable(path)

    def clone(self, source: str, name: str) -> None:
        origin, path = self._existing(source), self._path(name)
        self._claim(path)
        with scrubbed(f"cloning {source}"):
            reading, writing = connect(origin, "ro"), connect(path, "rw")
            try:
                reading.execute("PRAGMA query_only = OFF")
                writing.execute("PRAGMA journal_mode = OFF")
                writing.execute("PRAGMA synchronous = OFF")
                reading.backup(writing)
            finally:
                writing.close()
                reading.close()
        make_durable(path)

    def remove(self, name: str) -> None:
        path = self._path(name)
        for ending in _BESIDE:
            path.with_name(path.name + ending).unlink(missing_ok=True)
        if path.parent.is_dir():
            shutil.rmtree(path.parent)

    def names(self) -> Sequence[str]:
        return sorted(path.name for path in self.root.glob("*"))

    def size(self, name: str) -> int:
        path = self._existing(name)
        beside = (path.with_name(path.name + ending) for ending in ("", "-wal"))
        return sum(part.stat().st_size for part in beside if part.exists())

    def relationship(self, name: str) -> Mapping[str, object]:
        return {"scheme": "sqlite", "path": str(self._path(name).absolute()), "rel": "sqlite"}

    @contextmanager
    def snapshot(self, name: str) -> Iterator[Snapshot]:
        from branchline.adapters.databases.sqlite_snapshot import opened  # noqa: PLC0415 - 0.1 s of Polars that few processes need

        with opened(self._existing(name)) as snapshot:
            yield snapshot

    @contextmanager
    def loader(self, name: str) -> Iterator[Loader]:
        from branchline.adapters.databases.sqlite_loader import SqliteLoader  # noqa: PLC0415 - as above

        path = self._existing(name)
        if path.stat().st_size:
            raise Refused(
                513, f"The database version {name} is not empty.", "Give the new version a name of its own."
            )
        loader = SqliteLoader(path)
        try:
            yield loader
        finally:
            loader.close()

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,127}", name):
            raise BadInput(
                511, f"{name[:80]!r} cannot name a database version.", "Use a-z, 0-9, '.', '_' and '-'."
            )
        return self.root / name / "data.db"

    def _existing(self, name: str) -> Path:
        path = self._path(name)
        if not path.is_symlink() and not path.exists():
            raise BadInput(
                512, f"There is no database version {name}.", "See which there are: branchline status."
            )
        self._refuse_traps(name, path)
        return path

    def _refuse_traps(self, name: str, path: Path) -> None:
        """An application's hook may write here, and could leave a link to another database, or a pipe that never opens."""
        for ending in _BESIDE:
            part = path.with_name(path.name + ending)
            try:
                found = part.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise Refused(
                    510,
                    f"The database version {name} is not a plain file of its own ({part.name}): a hook replaced it.",
                    "correct the hook; roll back to a deployment whose data are whole",
                )

    def _claim(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            taken = path.parent.name
        else:
            return
        raise Refused(
            513, f"The database version {taken} exists already.", "Give the new version a name of its own."
        )
