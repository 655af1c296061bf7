"""A PostgreSQL database's tables as the rules see them.

Tables of the schema `public` have their bare name, others `schema.table`. A partitioned table is one table, whatever its
partitions; what an extension brought along is the extension's business, unless it holds rows.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from branchline.adapters.databases.postgresql_connection import Connection, identifier
from branchline.domain.schema import UUID_DIGITS, Column, ForeignKey, Kind, Schema, Table

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    **dict.fromkeys(("int2", "int4", "int8"), "integer"),
    **dict.fromkeys(("numeric", "float4", "float8"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamptz"), "time"),
    **dict.fromkeys(("inet", "cidr"), "ip"),
    "bytea": "binary",
    "uuid": "uuid",
}
_SAME_IN_BINARY = re.compile(
    r"(boolean|smallint|integer|bigint|numeric|real|double precision|text|character( varying)?|bytea|uuid|json|date|interval)(\([\d,-]+\))?"
    r"|time(stamp)?(\(\d\))? with(out)? time zone"
)
"""What servers of all versions write and read alike: no types that an application or an extension made, nor arrays, which name types
by numbers of their own database."""
_HIGHEST = {"int2": 2**15 - 1, "int4": 2**31 - 1}
_VARHDRSZ = 4
_OWN = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
_RELATIONS = f"""
SELECT c.oid, n.nspname, c.relname, c.relkind, e.extname, row_security_active(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND {_OWN}
ORDER BY n.nspname <> 'public', n.nspname, c.relname"""  # noqa: S608 - a constant
_COLUMNS = """
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), coalesce(b.typname, t.typname),
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull OR t.typnotnull, a.attgenerated <> ''
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN LATERAL (
  WITH RECURSIVE base AS (
    SELECT t.typbasetype AS oid WHERE t.typtype = 'd'
    UNION ALL SELECT p.typbasetype FROM base JOIN pg_type p ON p.oid = base.oid WHERE p.typtype = 'd')
  SELECT p.typname FROM base JOIN pg_type p ON p.oid = base.oid WHERE p.typtype <> 'd') b ON true
WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum"""
_UNIQUE = """
WITH i AS (
  SELECT *, coalesce(pg_partition_root(indrelid)::oid, indrelid) AS root FROM pg_index WHERE indisunique OR indisexclusion)
SELECT i.root, a.attname, false
FROM i JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
WHERE i.root = ANY(%s)
UNION
SELECT i.root, a.attname, i.indisprimary AND i.root = i.indrelid
FROM i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])
WHERE i.root = ANY(%s)"""
"""A partition's own index counts for the table whose part it is, its key does not."""
_FOREIGN_KEYS = """
SELECT child, parent,
       (SELECT array_agg(a.attname ORDER BY k.o) FROM unnest(c.conkey) WITH ORDINALITY k(n, o)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n),
       (SELECT array_agg(a.attname ORDER BY k.o) FROM unnest(c.confkey) WITH ORDINALITY k(n, o)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n)
FROM pg_constraint c, coalesce(pg_partition_root(c.conrelid)::oid, c.conrelid) child,
  coalesce(pg_partition_root(c.confrelid)::oid, c.confrelid) parent
WHERE c.contype = 'f' AND child = ANY(%s) AND c.conparentid = 0
ORDER BY child, c.conname"""
"""A partition's own key counts for the table whose part it is, on both sides."""
_ROWS = "CASE WHEN {0}.reltuples >= 0 THEN {0}.reltuples ELSE pg_relation_size({0}.oid) / 100 END"
_PLACES = f"""
SELECT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, n.nspname, c.relname, c.relkind = 'p',
       coalesce(CASE WHEN c.relkind <> 'p' THEN {_ROWS.format("c")} ELSE
         (SELECT sum({_ROWS.format("p")}) FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid AND p.relkind = 'r')
       END, 0)::bigint,
       CASE WHEN c.relkind = 'r' THEN pg_table_size(c.oid) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND {_OWN}"""  # noqa: S608 - constants
"""Rows by the statistics of the last ANALYZE; where there are none, by the size of the table."""
_REWRITTEN = f"""
SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND {_OWN} AND pg_relation_filenode(c.oid) IS DISTINCT FROM c.relfilenode
ORDER BY 1"""  # noqa: S608 - a constant
_QUESTIONS = (
    (
        "SELECT nullif(count(*), 0) FROM pg_largeobject_metadata",
        "{} large objects: their content cannot be masked; keep files in a mount or a bytea column",
    ),
    (
        "SELECT string_agg(srvname, ', ' ORDER BY srvname) FROM pg_foreign_server",
        "the foreign server {}: a copy would reach another database; drop it in the source",
    ),
    (
        (
            "SELECT string_agg(evtname, ', ' ORDER BY evtname) FROM pg_event_trigger e"
            " WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = e.oid AND d.deptype = 'e')"
        ),
        "the event trigger {}: it would run while the copy is made; drop it in the source",
    ),
    (
        (
            "SELECT pg_encoding_to_char(encoding) FROM pg_database"
            " WHERE datname = current_database() AND pg_encoding_to_char(encoding) = 'SQL_ASCII'"
        ),
        "the encoding {}: nobody knows what its texts are; convert it to UTF8",
    ),
)
"""What no policy can decide: a question whose answer is NULL where there is none, and what to say."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table of the policy is, and about how many rows it has: `sql` is its name in SQL, with ONLY before it where rows of heirs
    are not its own. `size`: bytes on disk, those of long values too; None for several tables.
    """

    schema: str
    name: str
    partitioned: bool
    estimate: int
    size: int | None = None

    @property
    def sql(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.name)}"

    @property
    def rows(self) -> str:
        return self.sql if self.partitioned else f"ONLY {self.sql}"


def read_places(connection: Connection) -> dict[str, Place]:
    """Of all tables, by the names that a policy has for them; asked for at once, for a copy of many tables begins with it."""
    return {name: Place(*found) for name, *found in connection.execute(_PLACES).fetchall()}


def read_schema(connection: Connection) -> Schema:
    """Its tables, and what no policy can decide."""
    relations = connection.execute(_RELATIONS).fetchall()
    kept = [row for row in relations if row[4] is None or _has_rows(connection, row)]
    names = {oid: name if schema == "public" else f"{schema}.{name}" for oid, schema, name, *_ in kept}
    oids = list(names)
    unique, keys = _unique_columns(connection, oids)
    columns: dict[int, list[Column]] = defaultdict(list)
    for oid, name, declared, base, modifier, required, generated in connection.execute(
        _COLUMNS, (oids,)
    ).fetchall():
        key = name in keys[oid]
        columns[oid].append(
            Column(
                name, declared, _kind(base, declared), nullable=not required and not key, unique=name in unique[oid], key=key,
                generated=generated, length=_length(base, declared, modifier), highest=_highest(base, modifier),
                scale=_scale(modifier) if base == "numeric" else None,
            )
        )  # fmt: skip
    foreign = _foreign_keys(connection, names)
    tables = {
        names[oid]: Table(
            names[oid],
            tuple(columns[oid]),
            foreign_keys=tuple(foreign[oid]),
            unsupported=_unsupported(
                kind, extension, hidden=hidden, bare=all(c.generated for c in columns[oid])
            ),
        )
        for oid, _, _, kind, extension, hidden in kept
    }
    twice = sorted(name for name, times in Counter(names.values()).items() if times > 1)
    doubtful = [
        f"two tables are called {name} here: one in public, one in a schema; rename one" for name in twice
    ]
    return Schema(tables, (*doubtful, *_problems(connection)), strict=True)


def rewritten(connection: Connection) -> list[str]:
    """Tables whose files are no longer those of this transaction's snapshot. TRUNCATE and its like do not wait for readers
    of an older snapshot, which then find such a table empty.
    """
    return [name for (name,) in connection.execute(_REWRITTEN).fetchall()]


def key_columns(table: Table) -> list[str]:
    """The primary key, by which rows are found again; none where there is none."""
    return [column.name for column in table.columns if column.key]


def same_in_binary(column: Column) -> bool:
    """Whether another server reads the column's values as this one writes them to COPY's binary format. Reading them takes a third less
    processor time than text does, for numbers and times most of all.
    """
    return bool(_SAME_IN_BINARY.fullmatch(column.declared))


def _kind(base: str, declared: str) -> Kind:
    return "other" if declared.endswith("[]") else _KINDS.get(base, "other")


def _length(base: str, declared: str, modifier: int) -> int | None:
    if base == "uuid":
        return UUID_DIGITS
    if base in ("varchar", "bpchar") and modifier > _VARHDRSZ and not declared.endswith("[]"):
        return int(modifier) - _VARHDRSZ
    return None


def _highest(base: str, modifier: int) -> int | None:
    if base == "numeric" and modifier >= _VARHDRSZ:
        precision = (modifier - _VARHDRSZ) >> 16
        return int(10 ** max(0, precision - (_scale(modifier) or 0))) - 1
    return _HIGHEST.get(base)


def _scale(modifier: int) -> int | None:
    """Of numeric(precision, scale), as numeric.c packs them; a negative one rounds before the point, and nothing is behind it."""
    if modifier < _VARHDRSZ:
        return None
    scale = (modifier - _VARHDRSZ) & 0x7FF
    return 0 if scale & 0x400 else scale


def _has_rows(connection: Connection, relation: tuple[object, ...]) -> bool:
    """Of an extension's own tables, those that pg_dump would leave empty and that are not."""
    _, schema, name, kind, *_ = relation
    if kind == "f":
        return True
    sql = f"SELECT EXISTS (SELECT FROM {identifier(str(schema))}.{identifier(str(name))})"  # noqa: S608 - quoted
    return bool((connection.execute(sql).fetchone() or (False,))[0]) and str(name) != "spatial_ref_sys"


def _unsupported(kind: str, extension: str | None, *, hidden: bool, bare: bool) -> str:
    if kind == "f":
        return "it is a foreign table: its rows are another server's"
    if extension:
        return f"it belongs to the extension {extension}, which makes it"
    if hidden:
        return "its row-level security hides rows from the account that reads"
    return "it has no column with values of its own" if bare else ""


def _unique_columns(
    connection: Connection, oids: list[int]
) -> tuple[dict[int, set[str]], dict[int, set[str]]]:
    unique: dict[int, set[str]] = defaultdict(set)
    keys: dict[int, set[str]] = defaultdict(set)
    for oid, column, primary in connection.execute(_UNIQUE, (oids, oids)).fetchall():
        unique[oid].add(column)
        if primary:
            keys[oid].add(column)
    return unique, keys


def _foreign_keys(connection: Connection, names: dict[int, str]) -> dict[int, list[ForeignKey]]:
    found: dict[int, list[ForeignKey]] = defaultdict(list)
    for oid, referred, columns, others in connection.execute(_FOREIGN_KEYS, (list(names),)).fetchall():
        if referred in names:
            key = ForeignKey(tuple(columns), names[referred], tuple(others))
            found[oid] += [key] if key not in found[oid] else []
    return found


def _problems(connection: Connection) -> list[str]:
    """What would come along unseen, or not at all."""
    return [
        f"the database has {problem.format(found)}"
        for question, problem in _QUESTIONS
        for (found,) in connection.execute(question).fetchall()
        if found
    ]


def one_expression(text: str) -> bool:
    """Whether parentheses around it cannot be left: they would otherwise let another statement in."""
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "x", text)
    if re.search(r"['\"$;\\]|--|/\*", bare):
        return False
    depth = 0
    for character in bare:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0
