"""Small databases with foreign keys in all directions, rules for subsets of them, and a plain model of what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

TABLES = ("t0", "t1", "t2", "t3")
KEYS = ("k",), ("k", "b"), ("u",)
"""What is referred to: a unique column, the primary key, and a unique column that may be NULL."""
NUMBERS = st.integers(0, 5)
MAYBE = st.none() | NUMBERS


@dataclass(frozen=True)
class Reference:
    child: str
    columns: tuple[str, ...]
    parent: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    references: tuple[Reference, ...]
    rows: Mapping[str, list[dict[str, int | None]]]
    rules: Mapping[str, str]

    def policy(self) -> str:
        lines = ["tables:"]
        for table in TABLES:
            columns = ", ".join(f"{column}: keep" for column in self.columns(table))
            rule = self.rules[table]
            body = f"{{{rule}{', ' if rule else ''}columns: {{{columns}}}}}"
            lines.append(f"  {table}: {'truncate' if rule == 'truncate' else body}")
        return "\n".join(lines)

    def columns(self, table: str) -> list[str]:
        own = (column for each in self.references if each.child == table for column in each.columns)
        return ["k", "b", "u", "v", *own]

    def script(self, *, inline: bool) -> str:
        """Makes the tables, with their foreign keys where those cannot be added later."""
        parts = []
        for table in TABLES:
            keys = [
                f"FOREIGN KEY ({', '.join(r.columns)}) REFERENCES {r.parent} ({', '.join(r.referred)})"
                for r in self.references
                if r.child == table and inline
            ]
            columns = ", ".join(f"{column} INTEGER" for column in self.columns(table))
            parts.append(
                f"CREATE TABLE {table} ({columns}, {', '.join(['PRIMARY KEY (k, b), UNIQUE (k), UNIQUE (u)', *keys])});"
            )
        return "\n".join(parts)

    def foreign_keys(self) -> str:
        """Adds them."""
        return "\n".join(
            f"ALTER TABLE {r.child} ADD FOREIGN KEY ({', '.join(r.columns)})"
            f" REFERENCES {r.parent} ({', '.join(r.referred)});"
            for r in self.references
        )

    def values(self, table: str) -> list[tuple[int | None, ...]]:
        """Its rows as a database takes them."""
        return [tuple(row[column] for column in self.columns(table)) for row in self.rows[table]]

    def copied(self) -> dict[str, list[dict[str, int | None]]]:
        """The plain model: what the rules take, less whatever refers to what is not there, until nothing changes."""
        there = {table: _taken(self.rows[table], self.rules[table]) for table in TABLES}
        changed = True
        while changed:
            changed = False
            for r in self.references:
                keys = {tuple(row[c] for c in r.referred) for row in there[r.parent]}
                whole = [
                    row
                    for row in there[r.child]
                    if None in (held := tuple(row[c] for c in r.columns)) or held in keys
                ]
                changed |= len(whole) < len(there[r.child])
                there[r.child] = whole
        return there


def _taken(rows: list[dict[str, int | None]], rule: str) -> list[dict[str, int | None]]:
    if rule == "truncate":
        return []
    if "newest" in rule:
        number = int(rule.split("newest: ")[1].split(",", maxsplit=1)[0])
        order = sorted(rows, key=lambda row: (row["v"] is not None, row["v"] or 0, row["k"]))
        return order[-number:]
    if "v <" in rule:
        below = int(rule.split("v < ")[1].split('"', maxsplit=1)[0])
        return [row for row in rows if row["v"] is not None and row["v"] < below]
    return list(rows)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    references = []
    for number in range(draw(st.integers(1, 6))):
        child, parent = draw(st.sampled_from(TABLES)), draw(st.sampled_from(TABLES))
        referred = draw(st.sampled_from(KEYS))
        columns = tuple(f"f{number}_{at}" for at in range(len(referred)))
        references.append(Reference(child, columns, parent, referred))
    rows: dict[str, list[dict[str, int | None]]] = {}
    for table in TABLES:
        keys = draw(st.lists(NUMBERS, unique=True, max_size=6))
        unique = draw(st.lists(NUMBERS, unique=True, min_size=6, max_size=6))
        rows[table] = [
            {"k": k, "b": k % 2, "u": u if draw(st.booleans()) else None, "v": draw(MAYBE)}
            for k, u in zip(keys, unique, strict=False)
        ]
    for each in references:
        held = [tuple(row[c] for c in each.referred) for row in rows[each.parent]]
        whole = [found for found in held if None not in found]
        choices = [*whole, *((*found[:-1], None) for found in whole), (None,) * len(each.columns)]
        for row in rows[each.child]:
            row |= dict(zip(each.columns, draw(st.sampled_from(choices)), strict=True))
    kinds = st.one_of(
        st.sampled_from(["", "", "truncate"]),
        NUMBERS.map(lambda n: f'subset: {{where: "v < {n}"}}'),
        NUMBERS.map(lambda n: f'where: "v < {n}"'),
        st.integers(1, 6).map(lambda n: f"subset: {{newest: {n}, by: v}}"),
    )
    rules = {table: draw(kinds) for table in TABLES}
    rules[draw(st.sampled_from(TABLES))] = "subset: {newest: 3, by: v}"
    return Case(tuple(references), rows, rules)
