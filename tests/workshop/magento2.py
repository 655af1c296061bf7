"""The tables that Magento 2.4.7 declares (tests/data/magento2), in a database, with something of its own in every column."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from branchline.domain.policy import Policy
from branchline.domain.schema import Column, ForeignKey, Kind, Schema, Table

FILE = Path(__file__).parents[1] / "data" / "magento2" / "schema-2.4.7.json.gz"
Engine = Literal["mysql", "sqlite"]
Value = str | int | bytes
NUMBERS = {"tinyint": 0, "boolean": 0, "smallint": 10_000, "int": 1_000_000, "bigint": 10_000_000_000}
REALS = ("decimal", "float", "double")
TIMES = ("date", "datetime", "timestamp")
BYTES = ("blob", "mediumblob", "varbinary")
TELLING = 12
"""Characters that a text needs to be told from all others: `planted00001`."""


@dataclass(frozen=True)
class Magento:
    """`declared`: what db_schema.xml says, by table."""

    declared: Mapping[str, Any]

    @classmethod
    def read(cls) -> Magento:
        return cls(json.loads(gzip.decompress(FILE.read_bytes())))

    @cached_property
    def schema(self) -> Schema:
        """As an adapter would read it."""
        return Schema({name: self._table(name) for name in sorted(self.declared)})

    def references(self, table: str) -> dict[str, tuple[str, str]]:
        """By column, the table and column that it refers to. What tests of Magento declare twice, or by half, is there once."""
        keys = self.declared[table]["foreign_keys"]
        return {key["column"]: tuple(key["references"]) for key in keys if key["column"]}

    def unique(self, table: str) -> list[list[str]]:
        found: list[list[str]] = []
        for columns in self.declared[table]["unique"]:
            if columns not in found and columns != self.declared[table]["primary_key"]:
                found.append(columns)
        return found

    def only(self, *tables: str) -> Magento:
        """A shop with these tables only, and no foreign key to another."""
        return Magento(
            {
                name: {
                    **self.declared[name],
                    "foreign_keys": [
                        key for key in self.declared[name]["foreign_keys"] if key["references"][0] in tables
                    ],
                }
                for name in tables
            }
        )

    def ddl(self, engine: Engine) -> list[str]:
        """Makes all tables; foreign keys must not be checked meanwhile."""
        return [self._create(name, engine) for name in self.declared]

    def planted(self) -> dict[str, dict[str, Value]]:
        """One row for each table: a value of its own in every column that can hold one, and what it refers to in a foreign key."""
        numbers = {
            (table, column): number
            for number, (table, column) in enumerate(
                (table, column) for table, told in self.declared.items() for column in told["columns"]
            )
        }
        return {
            table: {column: self._value(table, column, numbers) for column in told["columns"]}
            for table, told in self.declared.items()
        }

    def inserts(self) -> Iterator[str]:
        """Statements that put the planted rows in, on any engine."""
        for table, row in self.planted().items():
            columns = ", ".join(f"`{column}`" for column in row)
            yield f"INSERT INTO `{table}` ({columns}) VALUES ({', '.join(map(_literal, row.values()))})"

    def telling(self, table: str, column: str) -> bool:
        """Whether what is planted there is found nowhere else, wherever it goes; what refers to another table is planted there."""
        told = self.declared[table]["columns"][column]
        if column in self.references(table) or told["type"] in (
            *NUMBERS,
            *REALS,
            "date",
            "datetime",
            "timestamp",
        ):
            return False
        return _length(told) >= TELLING

    def _value(self, table: str, column: str, numbers: Mapping[tuple[str, str], int]) -> Value:
        referred = self.references(table).get(column)
        if referred and referred != (table, column):
            return self._value(*referred, numbers)
        return _canary(column, self.declared[table]["columns"][column], numbers[table, column])

    def _create(self, name: str, engine: Engine) -> str:
        told = self.declared[name]
        key = told["primary_key"]
        parts = [
            f"`{column}` {_definition(each, engine, key == [column])}"
            for column, each in told["columns"].items()
        ]
        if key and not (engine == "sqlite" and _counts(told["columns"][key[0]]) and len(key) == 1):
            parts.append(f"PRIMARY KEY ({_list(key)})")
        parts += [f"UNIQUE ({_list(columns)})" for columns in self.unique(name)]
        deleted = {key["column"]: key["on_delete"] for key in told["foreign_keys"]}
        parts += [
            f"FOREIGN KEY (`{column}`) REFERENCES `{other}` (`{there}`) ON DELETE {deleted[column]}"
            for column, (other, there) in self.references(name).items()
        ]
        options = " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4" if engine == "mysql" else ""
        return f"CREATE TABLE `{name}` (\n  " + ",\n  ".join(parts) + f"\n){options}"

    def _table(self, name: str) -> Table:
        told = self.declared[name]
        key = told["primary_key"]
        unique = {column for columns in [key, *told["unique"]] for column in columns}
        columns = tuple(
            Column(
                column,
                _type(each),
                _kind(each["type"]),
                nullable=each["nullable"] == "true" and column not in key,
                unique=column in unique,
                key=column in key,
                length=_length(each) if each["type"] in ("varchar", "char") else None,
                highest=_highest(each),
            )
            for column, each in told["columns"].items()
        )
        keys = (
            ForeignKey((here,), other, (there,)) for here, (other, there) in self.references(name).items()
        )
        return Table(name, columns, tuple(keys))


@dataclass(frozen=True)
class Came:
    """What became of the planted rows: `copy` has the rows of each table, in the order of its columns."""

    magento: Magento
    policy: Policy
    copy: Mapping[str, list[tuple[Any, ...]]]

    def leaked(self) -> list[str]:
        """Columns whose planted value should not be in the copy, but is: anywhere where it tells, else in its own place."""
        everything = "\n".join(str(row) for rows in self.copy.values() for row in rows)
        found = []
        for table, column, value, cells in self._cells(kept=False):
            telling = self.magento.telling(table, column)
            if _word(value) in everything if telling else str(value) in cells:
                found.append(f"{table}.{column}")
        return found

    def changed(self) -> list[str]:
        """Kept columns that have not what was planted."""
        return [
            f"{table}.{column}"
            for table, column, value, cells in self._cells(kept=True)
            if cells != [str(value)]
            and not (_number(value) and [_number(cell) for cell in cells] == [_number(value)])
        ]

    def _cells(self, *, kept: bool) -> Iterator[tuple[str, str, Value, list[str]]]:
        """With the cells of the copy that come from the planted row, as text."""
        for table, row in self.magento.planted().items():
            rule = self.policy.tables[table]
            copied = rule.action == "copy" and not rule.where
            for place, (column, value) in enumerate(row.items()):
                if kept == (
                    copied and rule.columns[column].mask == "keep"
                ) and column not in self.magento.references(table):
                    yield table, column, value, [str(each[place]) for each in self.copy[table]]


def _kind(declared: str) -> Kind:
    if declared in NUMBERS:
        return "integer"
    if declared in REALS:
        return "number"
    if declared in TIMES:
        return "time"
    return "binary" if declared in BYTES else "text"


def _highest(told: Mapping[str, str]) -> int | None:
    bits = {"tinyint": 8, "boolean": 8, "smallint": 16, "int": 32, "bigint": 64}.get(told["type"])
    return None if bits is None else 2 ** (bits if told.get("unsigned") == "true" else bits - 1) - 1


def _length(told: Mapping[str, str]) -> int:
    """Characters or bytes; 255 where nothing is said."""
    return int(told.get("length", 255))


def _type(told: Mapping[str, str]) -> str:
    kind = told["type"]
    if kind in ("varchar", "char", "varbinary"):
        return f"{kind}({_length(told)})"
    if kind == "decimal":
        return f"decimal({told['precision']},{told['scale']})"
    if kind == "boolean":
        return "tinyint(1)"
    return f"{kind} unsigned" if told.get("unsigned") == "true" and kind in NUMBERS else kind


def _counts(told: Mapping[str, str]) -> bool:
    return told.get("identity") == "true"


def _definition(told: Mapping[str, str], engine: Engine, alone: bool) -> str:
    if _counts(told) and alone and engine == "sqlite":
        return "INTEGER PRIMARY KEY"
    nullable = "NULL" if told["nullable"] == "true" and not _counts(told) else "NOT NULL"
    counts = " AUTO_INCREMENT" if _counts(told) and engine == "mysql" else ""
    return f"{_type(told)} {nullable}{counts}{_default(told)}"


def _default(told: Mapping[str, str]) -> str:
    said, kind = told.get("default"), told["type"]
    if said is None or said.upper() == "NULL" or _counts(told) or kind.endswith(("text", "blob")):
        return ""
    if kind in ("timestamp", "datetime") and said == "0":
        return " DEFAULT '0000-00-00 00:00:00'"
    if kind == "boolean":
        return f" DEFAULT {1 if said in ('true', '1') else 0}"
    return f" DEFAULT {said}" if said == "CURRENT_TIMESTAMP" else f" DEFAULT '{said}'"


def _list(columns: list[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _canary(column: str, told: Mapping[str, str], number: int) -> Value:
    kind = told["type"]
    if kind in NUMBERS:
        return NUMBERS[kind] + number if NUMBERS[kind] else 1
    if kind in ("float", "double"):
        return str(10_000 + number)
    if kind in REALS:
        whole = int(told.get("precision", 20)) - int(told.get("scale", 4))
        return f"{(10_000 + number) % 10 ** min(whole, 6)}.25"
    if kind in TIMES:
        day = (date(1971, 1, 2) + timedelta(number)).isoformat()
        return day if kind == "date" else f"{day} 12:00:00"
    text = _text(column, _length(told), number)
    return text.encode() if kind in BYTES else text


def _text(column: str, room: int, number: int) -> str:
    word = f"planted{number:05}"
    if "email" in column and room >= TELLING + len("@people.example"):
        return f"{word}@people.example"
    return f"{word} of {column}"[:room] if room >= TELLING else f"{number:04}"[-room:]


def _literal(value: Value) -> str:
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _word(value: Value) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value))[:TELLING]


def _number(value: Value) -> float | None:
    """Engines write the same number in several ways."""
    return float(value) if isinstance(value, int) or re.fullmatch(r"[0-9.]+", _word(value)) else None
