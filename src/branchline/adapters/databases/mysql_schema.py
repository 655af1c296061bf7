"""A MariaDB or MySQL database's tables, as the rules see them and as reading and loading need them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from branchline.adapters.databases.mysql_connection import Row, Session, identifier, revoked, rights
from branchline.domain.schema import UUID_DIGITS, Column, ForeignKey, Kind, Schema, Table

ENGINES = {"InnoDB", "MyISAM", "Aria", "MEMORY", "ARCHIVE", "CSV", "ROCKSDB"}
TRANSACTIONAL = {"InnoDB", "ROCKSDB"}
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
_BINARIES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
_SPATIAL = {
    *("geometry", "point", "linestring", "polygon"),
    *("multipoint", "multilinestring", "multipolygon", "geometrycollection"),
}
_AS_IT_IS = _INTEGERS | {"decimal", "double", "date", "datetime", "timestamp", "time", "year"}
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(_BINARIES, "binary"),
    **dict.fromkeys(("decimal", "float", "double"), "number"),
    **dict.fromkeys(("date", "datetime", "timestamp"), "time"),
    **dict.fromkeys(("inet4", "inet6"), "ip"),
    "uuid": "uuid",
    "json": "json",
}
_ORDERED = _AS_IT_IS - {"double"} | _TEXTS | _BINARIES
"""Types whose order is that of their literals, so that a key of them can be walked along."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One column: its rules' side, its type's name, and the character set of its texts."""

    column: Column
    type: str
    charset: str

    @property
    def name(self) -> str:
        return identifier(self.column.name)

    @property
    def stored(self) -> str:
        """SQL for its bytes as `LOAD DATA ... CHARACTER SET binary` takes them back, unchanged."""
        if self.type == "float":
            return f"CAST({self.name} AS DOUBLE)"  # six digits otherwise
        plain = self.type in _AS_IT_IS or (self.binary and self.type != "vector")
        return self.name if plain else f"CAST({self.name} AS BINARY)"

    @property
    def shown(self) -> str:
        """SQL for its value as text in UTF-8; for bytes, their hexadecimal digits."""
        if self.binary:
            return f"HEX({self.name})"
        if self.type == "float":
            return f"CAST({self.name} AS DOUBLE)"
        if self.type == "bit":
            return f"({self.name} + 0)"
        return self.name if self.type in _AS_IT_IS else f"CONVERT({self.name} USING utf8mb4)"

    @property
    def exact(self) -> str:
        """SQL for what `literal` takes. Of a text its bytes: not every character of every set is in UTF-8, and back from it."""
        return f"HEX({self.name})" if self.charset else self.shown

    @property
    def taken(self) -> str:
        """SQL for the column out of a variable with `shown`; empty where the field itself does."""
        variable = self.variable
        if self.binary:
            return f"UNHEX({variable})"
        if self.type == "bit":
            return f"CAST({variable} AS UNSIGNED)"
        if self.type in _AS_IT_IS or self.type == "float" or self.charset == "utf8mb4":
            return ""
        return f"CONVERT({variable} USING utf8mb4)"

    @property
    def document(self) -> bool:
        """MySQL's own JSON, which is made out of text only and not out of bytes."""
        return self.type == "json" and not self.charset

    @property
    def variable(self) -> str:
        return f"@{self.name}"

    @property
    def binary(self) -> bool:
        return self.type in _BINARIES or self.type in _SPATIAL

    def literal(self, value: bytes) -> str:
        """A value of it, in the bytes that `exact` gives, as SQL compares the column with it."""
        if self.binary:
            return f"x'{value.decode()}'"
        if self.type in _AS_IT_IS:
            return (
                f"'{value.decode()}'" if self.column.kind == "time" or self.type == "time" else value.decode()
            )
        return f"_{self.charset} x'{value.decode()}'" if self.charset else f"'{value.decode()}'"


@dataclass(frozen=True, slots=True)
class Layout:
    """One table: all its columns, and those by which its rows can be walked along and found again."""

    name: str
    engine: str
    columns: tuple[Shape, ...]
    key: tuple[str, ...] = ()

    def shape(self, name: str) -> Shape:
        return next(shape for shape in self.columns if shape.column.name == name)

    @property
    def stored(self) -> tuple[Shape, ...]:
        return tuple(shape for shape in self.columns if not shape.column.generated)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What was found in one database."""

    schema: Schema
    layouts: Mapping[str, Layout]
    views: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()


@dataclass(slots=True)
class _Indexes:
    unique: set[str] = field(default_factory=set)
    primary: list[str] = field(default_factory=list)
    complete: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    """Of unique indexes: columns, and whether each is in it as a whole and never NULL."""


def read_catalog(session: Session, database: str) -> Catalog:
    """All of a database that this account may see. What it cannot see is a problem of the schema."""
    listed = session.rows(
        "SELECT TABLE_NAME, TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(TABLE_COMMENT, '') FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
    )
    columns, indexes, foreign = _columns(session), _indexes(session), _foreign_keys(session)
    tables, layouts = {}, {}
    for name, kind, engine, comment in listed:
        if kind in ("VIEW", "SEQUENCE", "SYSTEM VIEW"):
            continue
        found = indexes.get(name, _Indexes())
        shapes = tuple(_shape(row, found) for row in columns.get(name, ()))
        why = _unsupported(kind, engine, comment)
        tables[name] = Table(
            name, tuple(shape.column for shape in shapes), tuple(foreign.get(name, ())), unsupported=why
        )
        layouts[name] = Layout(name, engine, shapes, _walked(shapes, found))
    return Catalog(
        Schema(tables, tuple(_problems(session, database)), strict=True),
        layouts,
        tuple(name for name, kind, *_ in listed if kind == "VIEW"),
        tuple(name for name, kind, *_ in listed if kind == "SEQUENCE"),
    )


def _unsupported(kind: str, engine: str, comment: str) -> str:
    if kind == "SYSTEM VERSIONED":
        return "it is system-versioned, and history cannot be written"
    if kind != "BASE TABLE":
        return f"it is a {kind.lower()}"
    if not engine:
        return f"the server cannot open it ({comment[:80]})" if comment else "the server cannot open it"
    return "" if engine in ENGINES else f"its engine {engine} keeps the rows elsewhere"


def _columns(session: Session) -> Mapping[str, list[Row]]:
    rows = session.rows(
        "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.COLUMN_TYPE, c.IS_NULLABLE, IFNULL(c.CHARACTER_SET_NAME, ''),"
        " c.CHARACTER_MAXIMUM_LENGTH, c.EXTRA, c.COLUMN_KEY FROM information_schema.COLUMNS c"
        " WHERE c.TABLE_SCHEMA = DATABASE() ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION"
    )
    documents = _documents(session)
    grouped: dict[str, list[Row]] = defaultdict(list)
    for table, name, kind, declared, *rest in rows:
        json = (table, name) in documents
        grouped[table].append((name, "json" if json else kind, "json" if json else declared, *rest))
    return grouped


def _documents(session: Session) -> set[tuple[str, str]]:
    """MariaDB's JSON is a text with a check of that name; MySQL's is a type, and its checks do not say of which table they are."""
    if not session.one(
        "SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema'"
        " AND TABLE_NAME = 'CHECK_CONSTRAINTS' AND COLUMN_NAME = 'TABLE_NAME'"
    ):
        return set()
    rows = session.rows(
        "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()"
        " AND CHECK_CLAUSE LIKE 'json_valid(`%`)'"
    )
    return {(table, clause[len("json_valid(`") : -2].replace("``", "`")) for table, clause in rows}


def _shape(row: Row, indexes: _Indexes) -> Shape:
    name, kind, declared, nullable, charset, length, extra, _ = row
    key = name in indexes.primary
    unique = key or name in indexes.unique
    column = Column(
        name=name,
        declared=declared,
        kind="other" if kind == "inet4" and unique else _KINDS.get(kind, "other"),
        nullable=nullable == "YES",
        unique=unique,
        key=key,
        generated="GENERATED" in extra.upper() and "DEFAULT_GENERATED" not in extra.upper(),
        length=_length(kind, length),
        highest=_highest(kind, declared),
        scale=_digits(declared)[1] if kind == "decimal" else None,
    )
    return Shape(column, kind, charset or "")


def _length(kind: str, length: str | None) -> int | None:
    """In characters, which the server tells of char and varchar; the other texts' are bytes, of which a character may take four."""
    if kind == "uuid":
        return UUID_DIGITS
    if kind not in _TEXTS or length is None:
        return None
    return int(length) if kind.endswith("char") else int(length) // 4


def _digits(declared: str) -> tuple[int, int]:
    """Before and behind the point, of decimal(precision,scale)."""
    precision, scale = map(int, re.findall(r"\d+", declared)[:2])
    return precision - scale, scale


def _highest(kind: str, declared: str) -> int | None:
    if kind == "decimal":
        return int(10 ** _digits(declared)[0]) - 1
    bits = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}.get(kind)
    if bits is None:
        return None
    return min(int(2 ** (bits if "unsigned" in declared else bits - 1)), 2**63) - 1


def _indexes(session: Session) -> Mapping[str, _Indexes]:
    rows = session.rows(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NULLABLE FROM information_schema.STATISTICS"
        " WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
    )
    found: dict[str, _Indexes] = defaultdict(_Indexes)
    for table, index, column, part, nullable in rows:
        if column is None:
            continue
        found[table].unique.add(column)
        found[table].complete.setdefault(index, []).append((column, part is None and nullable != "YES"))
        if index == "PRIMARY":
            found[table].primary.append(column)
    return found


def _walked(shapes: tuple[Shape, ...], indexes: _Indexes) -> tuple[str, ...]:
    """The primary key, where it holds whole columns of types that compare as they are written."""
    members = indexes.complete.get("PRIMARY", [])
    types = {shape.column.name: shape.type for shape in shapes}
    if members and all(whole and types.get(name) in _ORDERED for name, whole in members):
        return tuple(name for name, _ in members)
    return ()


def _foreign_keys(session: Session) -> Mapping[str, list[ForeignKey]]:
    rows = session.rows(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME"
        " FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA = DATABASE()"
        " ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION"
    )
    members: dict[tuple[str, str, str], list[tuple[str, str]]] = defaultdict(list)
    for table, constraint, column, referred, to in rows:
        members[table, constraint, referred].append((column, to))
    found: dict[str, list[ForeignKey]] = defaultdict(list)
    for (table, _, referred), pairs in members.items():
        mine, theirs = zip(*pairs, strict=True)
        found[table].append(ForeignKey(mine, referred, theirs))
    return found


def _problems(session: Session, database: str) -> list[str]:
    """What would be missing from a copy, or lead out of it, without anybody noticing."""
    problems = [
        f"the foreign key {constraint} of {table} refers to another database ({other}): a copy's would too, and change with it"
        for table, constraint, other in session.rows(
            "SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA FROM information_schema.KEY_COLUMN_USAGE"
            " WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_SCHEMA <> DATABASE() ORDER BY 1, 2"
        )
    ]
    if not _rights_to_all_of(session, database) & {"SELECT", "ALL PRIVILEGES"}:
        problems.append(
            f"the account may read only some of {database}'s tables, and cannot see what others there are: grant it SELECT on {database}.*"
        )
    hidden = session.rows(
        "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_DEFINITION IS NULL"
    )
    if hidden:
        names = ", ".join(name for (name,) in hidden)
        problems.append(
            f"the account may not read the bodies of {names}: grant it SELECT on mysql.proc, SHOW CREATE ROUTINE, or SHOW_ROUTINE on MySQL"
        )
    return problems


def unseen(session: Session, database: str) -> list[str]:
    """What there may be in a database without the account being told, each with the right that would tell it."""
    may = _rights_to_all_of(session, database)
    everywhere = {right for named, where in rights(session) if where == "*.*" for right in named}
    routines = {"SELECT", "SHOW CREATE ROUTINE", "SHOW_ROUTINE", "ALL PRIVILEGES"}
    of_mysql = any(where in ("`mysql`.*", "`mysql`.`proc`") for _, where in rights(session))
    hidden = {
        "triggers (TRIGGER)": bool(may & {"TRIGGER", "ALL PRIVILEGES"}),
        "events (EVENT)": bool(may & {"EVENT", "ALL PRIVILEGES"}),
        "functions and procedures (SHOW_ROUTINE; on MariaDB SELECT on mysql.proc)": bool(
            everywhere & routines
        )
        or of_mysql,
    }
    return [what for what, seen in hidden.items() if not seen]


def _rights_to_all_of(session: Session, database: str) -> set[str]:
    """Rights to a whole database, or to more."""
    names = {f"{identifier(database)}.*", f"{identifier(database.replace('_', chr(92) + '_'))}.*"}
    wide = names if names & set(revoked(session)) else {"*.*", *names}
    return {right for named, where in rights(session) if where in wide or "%" in where for right in named}
