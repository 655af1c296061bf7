"""Canaries in every column and file of Production, and what the policy lets pass to Staging."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from PIL import Image, PngImagePlugin

from branchline.domain.policy import ColumnRule, FileRule, Policy
from tests.secrets.canaries import ADDRESS, BIRTH, DAY, DIGITS, MARK, NUMBER, Canary, marked

NO_ROOM = {
    "customers.full_name": "generated",
    "orders.number": "generated",
    "orders.status": "one of four words",
    "staff.role": "one of three words",
    "mail_queue.status": "one of two words",
    "order_items.quantity": "1 to 20",
    "cart_items.quantity": "1 to 20",
    "reviews.stars": "1 to 5",
}
"""Columns that hold no canary, and why; a column that is new to the shop and takes none fails the test."""

ROWS = 4
"""So many rows of each table hold canaries."""
REDACTABLE = ("mail", "phone", "card")


@dataclass(frozen=True)
class Planted:
    """Where a canary lies in Production, and whether the policy passes it on."""

    canary: Canary
    passes: bool


@dataclass
class Planting:
    """Plants, and remembers."""

    policy: Policy
    planted: list[Planted] = field(default_factory=list)
    without: set[str] = field(default_factory=set)

    def _next(self) -> int:
        return len(self.planted) + 1

    def canary(self, what: str, make: Callable[[int], str], *, passes: bool, number: bool = False) -> str:
        count = self._next()
        value = make(count)
        told = re.search(f"{MARK}[0-9]{{5}}k|{DIGITS}[0-9]{{5}}", value)
        text = told[0] if told else value
        self.planted.append(Planted(Canary(what, text, int(text) if number else None), passes))
        return value

    def database(self, path: Path) -> None:
        """In up to ROWS rows of each table, in every column that takes one."""
        with closing(sqlite3.connect(path, isolation_level=None)) as shop:
            shop.row_factory = sqlite3.Row
            shop.execute("PRAGMA foreign_keys = ON")
            for (table,) in shop.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
                "AND name <> 'schema_version' ORDER BY name"
            ).fetchall():
                if self.policy.tables[table].where:
                    assert table == "config", f"{table} has a condition that this test does not know"
                    self._settings(shop)
                else:
                    self._table(shop, table)

    def _table(self, shop: sqlite3.Connection, table: str) -> None:
        columns = shop.execute(f"PRAGMA table_xinfo({table})").fetchall()
        keys = [column["name"] for column in columns if column["pk"]]
        referring = {row["from"] for row in shop.execute(f"PRAGMA foreign_key_list({table})")}
        rows = shop.execute(f"SELECT {', '.join(keys)} FROM {table} ORDER BY {keys[0]}").fetchall()
        assert rows, f"{table} is empty: nothing was planted there"
        # the first of the staff are kept by the policy, the last are not
        chosen = [*rows[: ROWS // 2], *rows[ROWS // 2 :][-(ROWS // 2) :]]
        for column in sorted(columns, key=lambda each: each["pk"]):  # keys last: they find the row
            name = column["name"]
            whole = column["type"].upper().startswith("INT")
            if column["hidden"]:
                self.without.add(f"{table}.{name}")
            elif name not in referring and not (whole and column["pk"] and name in ("id", "line")):
                for number, row in enumerate(chosen):
                    self._cell(shop, table, name, dict(row), whole=whole, first=number == 0)

    def _cell(
        self,
        shop: sqlite3.Connection,
        table: str,
        column: str,
        row: dict[str, object],
        *,
        whole: bool,
        first: bool,
    ) -> None:
        where = " AND ".join(f"{key} IS ?" for key in row)
        keep = _kept_row(self.policy, table)
        before = len(self.planted)
        if (
            column == "email"
            and table == "staff"
            and shop.execute(
                f"SELECT 1 FROM {table} WHERE {where} AND ({keep})", tuple(row.values())
            ).fetchone()
        ):
            return  # by this the policy knows the shop's own people
        kept = f"SELECT 1 FROM {table} WHERE {where} AND ({keep})"
        passes = partial(
            _passes, self.policy, table, column, kept=bool(shop.execute(kept, tuple(row.values())).fetchone())
        )
        value = self._value(table, column, passes, whole=whole, first=first)
        try:
            shop.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value, *row.values()))
        except sqlite3.IntegrityError:
            del self.planted[before:]
            self.without.add(f"{table}.{column}")

    def _value(
        self, table: str, column: str, passes: Callable[[str], bool], *, whole: bool, first: bool
    ) -> object:
        what = f"{table}.{column}"
        put = lambda kind, make: self.canary(f"{what} ({kind})", make, passes=passes(kind))  # noqa: E731
        if whole:
            return int(self.canary(what, lambda n: str(NUMBER + n), passes=passes("number"), number=True))
        if "address" in column:
            return self._document(what, passes)
        if column in ("body", "notes"):
            return (
                f"{put('word', marked)} wrote from {put('mail', mail)}, called {put('phone', phone)} "
                f"and paid with {put('card', card)}."
            )
        if column == "birth_date":
            return put("date", lambda _: BIRTH) if first else "1960-01-01"
        value = put(*next((SHAPES[part] for part in column.split("_") if part in SHAPES), ("word", marked)))
        return json.dumps([value]) if column == "scopes" else value

    def _document(self, what: str, passes: Callable[[str], bool]) -> str:
        """As the shop writes it, so that the policy knows each path."""
        leaf = lambda path, make: self.canary(f"{what} ({path})", make, passes=passes(path))  # noqa: E731
        document: dict[str, object] = {
            name: leaf(f"$.{name}", marked) for name in ("street", "postcode", "city", "country")
        }
        if what.startswith("customers."):
            document["contact"] = {
                "name": leaf("$.contact.name", marked),
                "phone": leaf("$.contact.phone", phone),
            }
        else:
            document["phone"] = leaf("$.phone", phone)
        return json.dumps(document)

    def _settings(self, shop: sqlite3.Connection) -> None:
        """Rows that the policy's condition takes, and rows that it does not."""
        where = self.policy.tables["config"].where or "true"
        for prefix in ("shop", "payment", "mail"):
            path = f"{prefix}/{marked(self._next())}"
            (taken,) = shop.execute(
                f"SELECT {where} FROM (SELECT ? AS path, '' AS value)", (path,)
            ).fetchone()
            passes = partial(_passes, self.policy, "config", kept=False)
            self.canary("config.path", marked, passes=bool(taken) and passes("path", "word"))
            value = self.canary("config.value", marked, passes=bool(taken) and passes("value", "word"))
            shop.execute("INSERT INTO config (path, value) VALUES (?, ?)", (path, value))

    def files(self, mount: Path, rules: tuple[FileRule, ...]) -> None:
        """One of each type in each folder, with a canary in its name and in its content."""
        folders = sorted({path.parent for path in mount.rglob("*") if path.is_file()})
        assert len(folders) >= 3, "the shop has no uploads"
        for folder in folders:
            where = folder.relative_to(mount)
            for suffix, make in (("png", _png), ("pdf", _pdf), ("txt", str.encode)):
                path = str(where / f"{marked(self._next())}.{suffix}")
                rule = next(each for each in rules if each.matches(path))
                self.canary(
                    f"name of {where}/*.{suffix}", marked, passes=rule.action != "skip" and not rule.rename
                )
                content = self.canary(f"content of {where}/*.{suffix}", marked, passes=rule.action == "copy")
                (mount / path).write_bytes(make(content))


def mail(number: int) -> str:
    return f"{marked(number)}@mail.example"


def phone(number: int) -> str:
    return f"+49{DIGITS}{number:05}"


def ip(number: int) -> str:
    return f"{ADDRESS}::{number + 0x1000:x}"


def moment(number: int) -> str:
    return f"{DAY} {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"


def card(number: int) -> str:
    """Sixteen digits with a valid check digit."""
    digits = f"40000{DIGITS}{number:05}"
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits))
    return digits + str(-total % 10)


def _png(text: str) -> bytes:
    said = PngImagePlugin.PngInfo()
    said.add_text("Author", text)
    file = BytesIO()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(file, "PNG", pnginfo=said)
    return file.getvalue()


def _pdf(text: str) -> bytes:
    return f"%PDF-1.4\n({text}) Tj\n%%EOF\n".encode()


SHAPES = {
    "email": ("mail", mail),
    "recipient": ("mail", mail),
    "phone": ("phone", phone),
    "ip": ("ip", ip),
    "at": ("date", moment),
}
"""Of a text column's value, by a part of the column's name; else it is a word."""


def _kept_row(policy: Policy, table: str) -> str:
    rule = policy.tables[table]
    return rule.keep_rows.where if rule.keep_rows else "false"


def _passes(policy: Policy, table: str, column: str, kind: str, *, kept: bool) -> bool:
    """Whether a policy lets a value of this kind through, read from its rule for the column. Conditions of rows are
    the caller's business.
    """
    rule = policy.tables[table]
    if rule.action != "copy":
        return False
    chosen: ColumnRule = rule.columns[column]
    if kept or chosen.mask == "keep":
        return True
    if chosen.mask == "redact":
        return kind not in REDACTABLE
    if chosen.mask == "json":
        mask = _of_path(chosen.parameters["paths"], kind)
        return mask == "keep"
    return False


def _of_path(paths: Mapping[str, object], path: str) -> object:
    found = paths[path]
    return found["mask"] if isinstance(found, dict) else found
