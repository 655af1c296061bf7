from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from branchline.adapters.databases.sqlite import SqliteDatabase
from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from branchline.sanitize.report import SyncReport


@dataclass
class Shop:
    """Production and Staging of one SQLite service."""

    database: SqliteDatabase

    @property
    def production(self) -> Path:
        return Path(str(self.database.relationship("production")["path"]))

    @property
    def staging(self) -> Path:
        return Path(str(self.database.relationship("staging")["path"]))

    def fill(self, script: str, *rows: tuple[str, list]) -> None:
        connection = sqlite3.connect(self.production)
        connection.executescript(script)
        for statement, values in rows:
            connection.executemany(statement, values)
        connection.commit()
        connection.close()

    def sync(self, policy: str, packs: Sequence[Path] = (), **options: object) -> SyncReport:
        self.database.remove("staging")
        self.database.create("staging")
        with self.database.snapshot("production") as source, self.database.loader("staging") as target:
            return replicate(source, target, read_policy(policy, packs=packs), **options)

    def read(self, sql: str, *, where: str = "staging") -> list[tuple]:
        connection = sqlite3.connect(getattr(self, where))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    database = SqliteDatabase(tmp_path / "db")
    database.create("production")
    return Shop(database)
