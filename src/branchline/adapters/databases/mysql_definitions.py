"""A database's definitions by the server's own SHOW CREATE, which is what mariadb-dump writes down too.

Tables come apart into what takes rows and what is made afterwards: indexes and foreign keys. Whoever defined views and
programs on the source is not known on the target, so all of them belong to the environment's owner there. Events come disabled.
"""

# ruff: noqa: S608 - names are quoted by `identifier`

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from branchline.adapters.databases.mysql_connection import Session, identifier, text
from branchline.adapters.databases.mysql_rows import CODECS
from branchline.adapters.databases.mysql_schema import Catalog
from branchline.errors import Failed

_KEY = re.compile(r"  (?:UNIQUE |FULLTEXT |SPATIAL )?KEY `")
_FIRST_COLUMN = re.compile(r"KEY (?:`(?:[^`]|``)+` )?\(`((?:[^`]|``)+)`")
_COUNTED = re.compile(r"  `((?:[^`]|``)+)` (?:(?! COMMENT ').)* AUTO_INCREMENT(?: |,|$)")
_TRANSACTIONAL = re.compile(r"\) ENGINE=(?:InnoDB|ROCKSDB)\b")
_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|--[ \t][^\n]*|#[^\n]*|/\*.*?\*/|`((?:[^`]|``)*)`(?:\s*\.\s*`((?:[^`]|``)*)`)?",
    re.DOTALL,
)
"""A text, a comment, or a name with the one that follows it behind a point."""
_FOREIGN = re.compile(r"  CONSTRAINT `(?:[^`]|``)+` FOREIGN KEY ")
_DEFINED = re.compile(
    r"(CREATE (?:OR REPLACE )?(?:ALGORITHM=\w+ )?)"
    r"DEFINER=(?:`(?:[^`]|``)*`|\"[^\"]*\"|'[^']*'|[^\s@]+)(?:@(?:`(?:[^`]|``)*`|\"[^\"]*\"|'[^']*'|\S+))?"
)
"""As the server writes it, whatever it was told."""
_STATE = re.compile(
    r"(ON COMPLETION (?:NOT )?PRESERVE) (?:ENABLE|DISABLE ON SLAVE|DISABLE ON REPLICA|DISABLE)\b"
)


@dataclass(frozen=True, slots=True)
class TableDefinition:
    """`bare` makes the table without what is in `indexes` and `foreign_keys`, each a line after ALTER TABLE ... ADD."""

    name: str
    bare: str
    indexes: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = ()

    @property
    def additions(self) -> Sequence[str]:
        """Statements that add the indexes: all that go together at once, each full-text or spatial index by itself."""
        apart = [line for line in self.indexes if line.startswith(("FULLTEXT", "SPATIAL"))]
        together = [line for line in self.indexes if line not in apart]
        return [self._added(lines) for lines in (together, *([line] for line in apart)) if lines]

    @property
    def references(self) -> str:
        """A statement that adds the foreign keys; empty where there are none."""
        return self._added(self.foreign_keys) if self.foreign_keys else ""

    def _added(self, lines: Sequence[str]) -> str:
        return f"ALTER TABLE {identifier(self.name)} {', '.join(f'ADD {line}' for line in lines)}"


@dataclass(frozen=True, slots=True)
class Program:
    """A view, function, procedure, package, trigger or event, with the settings that its text is understood under."""

    kind: str
    name: str
    sql: str
    mode: str = ""
    charset: str = "utf8mb4"
    collation: str = "utf8mb4_general_ci"
    zone: str = ""
    database: str = ""
    """The database's collation when it was made, which its texts without one have."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """All of one database."""

    charset: str
    collation: str
    tables: tuple[TableDefinition, ...]
    sequences: tuple[tuple[str, str, int], ...]
    """Name, definition, next value."""
    programs: tuple[Program, ...]


def read_definitions(
    session: Session, database: str, catalog: Catalog, target: str, owner: str
) -> Definitions:
    """What makes `database`, in which the session is, anew as `target`; `owner` is an account as SQL names it."""
    charset, collation = session.rows(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()"
    )[0]

    made = tuple(_programs(session, catalog))
    own = {*catalog.schema.tables, *catalog.views, *catalog.sequences, *(program.name for program in made)}

    def moved(sql: str) -> str:
        return renamed(sql, database, target, own)

    return Definitions(
        charset,
        collation,
        tuple(
            apart(name, moved(session.rows(f"SHOW CREATE TABLE {identifier(name)}")[0][1]))
            for name in catalog.schema.tables
            if not catalog.schema.tables[name].unsupported.startswith("the server cannot open")
        ),
        tuple(_sequence(session, name) for name in catalog.sequences),
        tuple(_owned(replace(program, sql=moved(program.sql)), owner) for program in made),
    )


def renamed(sql: str, database: str, target: str, own: Collection[str]) -> str:
    """A definition with another database's name wherever it names its own, in quotes and as the owner of something of its `own`: the
    server writes it so before sequences, and in views that look into other databases too. An alias may have the same name.
    """

    def moved(found: re.Match[str]) -> str:
        owner, owned = (name.replace("``", "`") if name else name for name in found.groups())
        return f"{identifier(target)}.{identifier(owned)}" if owner == database and owned in own else found[0]

    return _TOKEN.sub(moved, sql)


def apart(name: str, sql: str) -> TableDefinition:
    """Takes a definition as SHOW CREATE TABLE gives it apart. An index that AUTO_INCREMENT needs stays with the table: one that begins
    with that column, and where engines count in groups any that holds it.
    """
    first, *rest = sql.split("\n")
    closing = next(number for number, line in enumerate(rest) if line.startswith(")"))
    counted = next((found[1] for line in rest[:closing] if (found := _COUNTED.match(line))), None)
    grouped = counted is not None and not _TRANSACTIONAL.match(rest[closing])
    bare, indexes, foreign = [], [], []
    for line in rest[:closing]:
        plain = line.rstrip(",")
        leading = _FIRST_COLUMN.search(plain)
        if _FOREIGN.match(line):
            foreign.append(plain.strip())
        elif _KEY.match(line) and not (
            (leading and leading[1] == counted) or (grouped and f"`{counted}`" in plain)
        ):
            indexes.append(plain.strip())
        else:
            bare.append(plain)
    body = ",\n".join(bare)
    return TableDefinition(name, "\n".join([first, body, *rest[closing:]]), tuple(indexes), tuple(foreign))


def _sequence(session: Session, name: str) -> tuple[str, str, int]:
    sql = session.rows(f"SHOW CREATE SEQUENCE {identifier(name)}")[0][1]
    return name, sql, int(session.one(f"SELECT next_not_cached_value FROM {identifier(name)}"))


def _owned(program: Program, owner: str) -> Program:
    """A definer is named before the kind and its object's own name: what a body says of one stays."""
    defined = _DEFINED.match(program.sql)
    if defined is None:
        what = f"The {program.kind.lower()} {program.name} does not say who defined it."
        raise Failed(525, what, "Report this with its definition; nothing was switched.")
    owned = f"{defined[1]}DEFINER={owner}{program.sql[defined.end() :]}"
    if program.kind == "EVENT":
        owned = _STATE.sub(r"\1 DISABLE", owned, count=1)
    return replace(program, sql=owned)


def _programs(session: Session, catalog: Catalog) -> Iterator[Program]:
    """In an order in which they can be made, but for views, which may need each other and functions."""
    for name, kind in session.rows(
        "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()"
        " ORDER BY ROUTINE_TYPE, ROUTINE_NAME"
    ):
        row = session.rows(f"SHOW CREATE {kind} {identifier(name)}")[0]
        yield Program(kind, name, row[2], row[1], row[3], row[4], database=row[5])
    for name in catalog.views:
        row = session.rows(f"SHOW CREATE VIEW {identifier(name)}")[0]
        yield Program("VIEW", name, row[1], "", row[2], row[3])
    for (name,) in session.rows(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"
        " ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"
    ):
        row = session.rows(f"SHOW CREATE TRIGGER {identifier(name)}")[0]
        yield Program("TRIGGER", name, row[2], row[1], row[3], row[4], database=row[5])
    for (name,) in session.rows(
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE() ORDER BY EVENT_NAME"
    ):
        row = session.rows(f"SHOW CREATE EVENT {identifier(name)}")[0]
        yield Program("EVENT", name, row[3], row[1], row[4], row[5], row[2], row[6])


def make(session: Session, program: Program) -> None:
    """Makes it under its own settings, in the characters of whoever made it first. Raises the driver's error."""
    try:
        written = program.sql.encode(CODECS.get(program.charset, "ascii"))
    except UnicodeEncodeError:
        what = f"The {program.kind.lower()} {program.name} is written in {program.charset}, which Branchline does not know."
        raise Failed(525, what, "Make it anew in utf8mb4; nothing was switched.") from None
    session.run(
        f"SET SESSION sql_mode = {text(program.mode)}, character_set_client = {program.charset},"
        f" collation_connection = {program.collation}{f', time_zone = {text(program.zone)}' if program.zone else ''}"
    )
    session.run(written)
