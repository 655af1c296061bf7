"""The same database on each engine, synced under one stable key: what is masked is masked alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path

import pytest
import yaml

from branchline.sanitize.pipeline import replicate
from branchline.sanitize.policy_file import read_policy
from tests.workshop.benches import Bench, SqliteBench

POLICY = Path(__file__).parent / "chinook_sanitize.yaml"
DATA = Path(__file__).parents[1] / "data" / "chinook"
SCRIPTS = {
    "sqlite": "Chinook_Sqlite.sql",
    "postgresql": "Chinook_PostgreSql.sql",
    "mysql": "Chinook_MySql.sql",
}
KEYS = {"PlaylistTrack": 2}
"""By how many of its first columns a table's rows are told apart, where one is not enough."""
Rows = dict[str, list[tuple[object, ...]]]


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def meaning(value: object) -> object:
    """The same for what engines and drivers tell in different ways."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", value):
        return datetime.fromisoformat(value)
    if isinstance(value, float | int | Decimal):
        return Decimal(str(value)).quantize(Decimal("0.01"))
    return value


def written(value: object) -> object:
    """What all scripts have in common: PostgreSQL drops blanks at the end of N'...', MariaDB a backslash in any text."""
    return value.replace("\\", "").rstrip(" ") if isinstance(value, str) else value


def synced(bench: Bench, spelled: Callable[[str], str]) -> tuple[Rows, Rows]:
    """All rows before and after, by the tables' and in the columns' order of the policy."""
    policy = yaml.safe_load(POLICY.read_text())
    tables = policy["tables"]
    policy["tables"] = {
        spelled(table): {"columns": {spelled(column): mask for column, mask in rule["columns"].items()}}
        for table, rule in tables.items()
    }
    script = (DATA / SCRIPTS[bench.engine]).read_text(encoding="utf-8-sig")
    bench.database.create("one")
    bench.execute("one", re.sub(r"(?m)^(DROP DATABASE|CREATE DATABASE|USE|\\c) .*$", "", script))
    bench.database.create("copy")
    with bench.database.snapshot("one") as source, bench.database.loader("copy") as target:
        report = replicate(source, target, read_policy(yaml.safe_dump(policy)), key=b"k" * 32)
    assert (report.rows, report.leaks) == (15_607, 0)
    found: dict[str, Rows] = {"one": {}, "copy": {}}
    for version, rows_of in found.items():
        for table, rule in tables.items():
            columns = ", ".join(bench.quoted(spelled(column)) for column in rule["columns"])
            rows = bench.read(version, f"SELECT {columns} FROM {bench.quoted(spelled(table))}")
            rows.sort(key=itemgetter(slice(KEYS.get(table, 1))))
            rows_of[table] = [tuple(map(meaning, row)) for row in rows]
    return found["one"], found["copy"]


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Rows]:
    return synced(SqliteBench(tmp_path_factory.mktemp("chinook")), str)


@pytest.mark.parametrize("bench", ["postgresql", "mariadb", "mysql"], indirect=True)
def test_masked_values_agree_value_for_value_with_sqlite(bench: Bench, on_sqlite: tuple[Rows, Rows]) -> None:
    there = synced(bench, snake if bench.engine == "postgresql" else str)
    agreed = 0
    for table, originals in on_sqlite[0].items():
        four = (originals, there[0][table], on_sqlite[1][table], there[1][table])
        for rows in zip(*four, strict=True):
            for original, same, masked, alike in zip(*rows, strict=True):
                assert written(original) == written(same)
                if original == same:
                    assert masked == alike, table
                    agreed += 1
    cells = sum(len(row) for rows in on_sqlite[0].values() for row in rows)
    assert cells - agreed < 20
