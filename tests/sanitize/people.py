"""A small database of people and their orders."""

from __future__ import annotations

PEOPLE = """
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT UNIQUE, first_name TEXT, last_name TEXT, login TEXT, note TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people(id), email TEXT, total REAL);
"""
POLICY = """
tables:
  people:
    columns: {id: keep, email: email, first_name: first_name, last_name: last_name, login: username, note: keep}
  orders:
    columns: {id: keep, person: keep, email: email, total: keep}
"""


def people(count: int = 300, note: str = "likes tea") -> list[tuple]:
    return [
        (i, f"anna.muster{i}@mail.example", f"Anna{i}", f"Muster{i}", f"amuster{i}", note)
        for i in range(1, count + 1)
    ]


def filled(shop, rows: list[tuple] | None = None) -> None:
    rows = people() if rows is None else rows
    shop.fill(
        PEOPLE,
        ("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", rows),
        ("INSERT INTO orders VALUES (?, ?, ?, ?)", [(row[0], row[0], row[1], 9.5) for row in rows]),
    )
