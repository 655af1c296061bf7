"""By hand: `seed.py [members]` fills an empty library with invented people; equal numbers give equal rows."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from datetime import date, timedelta

import library

FIRST = [
    "Ada",
    "Ben",
    "Chloe",
    "David",
    "Elif",
    "Femi",
    "Grace",
    "Hugo",
    "Ines",
    "Jamal",
    "Kerstin",
    "Luca",
    "Mei",
    "Nadia",
    "Oskar",
    "Priya",
]
LAST = [
    "Archer",
    "Baker",
    "Carter",
    "Dunn",
    "Easton",
    "Fletcher",
    "Gardner",
    "Hooper",
    "Iverson",
    "Joyner",
    "Keller",
    "Mason",
    "Porter",
    "Sawyer",
]
WORDS = [
    "River",
    "Stone",
    "Winter",
    "Garden",
    "Letter",
    "Harbour",
    "Silence",
    "Orchard",
    "Bridge",
    "Lantern",
    "Island",
    "Clock",
]
TODAY = date(2026, 3, 1)


def members(count: int, dice: random.Random) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for number in range(1, count + 1):
        first, last = dice.choice(FIRST), dice.choice(LAST)
        phone = f"+44 1632 {960000 + number % 1000}"
        address = {
            "street": f"{number} Mill Lane",
            "city": "Ashcombe",
            "postcode": f"AC{number % 90 + 1} 4QZ",
        }
        found.append(
            (
                hashlib.sha1(f"card {number}".encode(), usedforsecurity=False).hexdigest(),
                f"{first}.{last}{number}@post.example".lower(),
                f"{first} {last}",
                phone if number % 3 else None,
                TODAY - timedelta(days=dice.randrange(4000, 30000)),
                json.dumps(address),
                f"{first} {last} asks to be called at {phone} in the evening." if number % 4 == 0 else "",
                dice.randrange(1, number) if number > 1 and number % 5 == 0 else None,
            )
        )
    return found


def seed(count: int) -> None:
    dice = random.Random(1)
    titles = [
        f"The {dice.choice(WORDS)} and the {dice.choice(WORDS)}, part {part}"
        for part in range(1, count // 2 + 2)
    ]
    with library.connect() as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO books (isbn, title, authors) VALUES (%s, %s, %s)",
            [(f"978-0-{number:08d}-0", title, dice.sample(LAST, 2)) for number, title in enumerate(titles)],
        )
        cursor.executemany(
            "INSERT INTO members (card, email, name, phone, born, address, notes, brought_by)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            members(count, dice),
        )
        cursor.execute(
            "INSERT INTO loans (member, book, during, state)"
            " SELECT m.id, 1 + m.id %% %s, daterange(%s - (m.id %% 40)::int, %s - (m.id %% 40)::int + 21),"
            " CASE WHEN m.id <= %s THEN 'out' ELSE 'back' END::loan_state FROM members m",
            (len(titles), TODAY, TODAY, len(titles)),
        )
        cursor.execute(
            "INSERT INTO reminders (loan, email, body, due) SELECT l.id, m.email, 'Dear ' || m.name, now()"
            " FROM loans l JOIN members m ON m.id = l.member WHERE l.state = 'out'"
        )
        cursor.execute("REFRESH MATERIALIZED VIEW favourites")
    print(f"{count} members")


if __name__ == "__main__":
    seed(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
