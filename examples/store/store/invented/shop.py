"""Writes an invented shop's rows and uploads: one transaction for the rows, then the files."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from store import files, pictures
from store.accounts import hash_password
from store.database import transaction
from store.invented.back_office import back_office
from store.invented.people import Person, people, secret

PASSWORD = "clay and water"
"""What every invented customer signs in with; hashed in few rounds, so that many are made quickly."""

_TODAY = datetime(2025, 6, 1, 12, tzinfo=UTC)
_REMARKS = (
    "Prefers deliveries after six. {first} asks for {other} if nobody opens.",
    "Called twice about a cracked handle; {other} sent the pictures.",
    "Wholesale customer, speak to {first} {last} only.",
    "Leave parcels with the neighbour, {other}.",
)
_OPINIONS = (
    (5, "Sits in the hand as if it had always been there."),
    (5, "Wrapped with care, and the glaze is even better than in the picture."),
    (4, "Lovely piece, a little heavier than I thought."),
    (4, "Went through the dishwasher all winter and still looks new."),
    (3, "Nice, but the colour is darker than I expected."),
)


def fill(shop: sqlite3.Connection, customers: int, seed: int) -> dict[str, int]:
    """Adds this many customers and all that belongs to them; gives how many of each there are then."""
    chance = random.Random(seed)
    crowd = people(chance, customers)
    with transaction(shop):
        _customers(shop, chance, crowd, seed)
        _orders(shop, chance, crowd, seed)
        _reviews(shop, chance, crowd)
        back_office(shop, chance, crowd, seed)
    counted = (
        "customers",
        "orders",
        "order_items",
        "order_notes",
        "customer_notes",
        "sessions",
        "mail_queue",
        "newsletter",
    )
    made = {table: shop.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in counted}
    return made | {"files": _uploads(shop)}


def _customers(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person], seed: int) -> None:
    def rows() -> Iterator[tuple]:
        for person in crowd:
            born = date(1940, 1, 1) + timedelta(days=chance.randrange(24_000))
            remark = chance.choice(_REMARKS) if person.id % 7 == 1 else None
            referrer = chance.randrange(1, person.id) if person.id > 1 and chance.random() < 0.2 else None
            yield (
                person.id,
                person.email,
                person.username,
                person.first_name,
                person.last_name,
                person.phone if person.id % 11 else None,
                hash_password(PASSWORD, secret(seed, "salt", person.id)[:16], rounds=2),
                born.isoformat(),
                person.postcode,
                json.dumps(person.address | {"contact": {"name": person.name, "phone": person.phone}}),
                person.country,
                chance.randrange(1500),
                remark
                and remark.format(
                    first=person.first_name, last=person.last_name, other=chance.choice(crowd).name
                ),
                f"avatars/{person.file_name}.png" if person.id % 100 == 1 else None,
                person.ip,
                referrer,
                _before(chance, 1500),
            )

    shop.executemany(
        "INSERT INTO customers (id, email, username, first_name, last_name, phone, password_hash, birth_date, "
        "postcode, address, country, loyalty_points, notes, avatar, last_ip, referred_by, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows(),
    )


def _orders(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person], seed: int) -> None:
    prices = shop.execute("SELECT id, price_cents FROM products ORDER BY id").fetchall()
    orders: list[tuple] = []
    items: list[tuple] = []
    for person in crowd:
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            number = len(orders) + 1
            recipient = person if chance.random() < 0.9 else chance.choice(crowd)
            orders.append(
                (
                    number,
                    person.id if chance.random() < 0.85 else None,
                    person.email,
                    recipient.name,
                    json.dumps(recipient.address | {"phone": recipient.phone}),
                    chance.choice(("placed", "packed", "sent", "sent", "sent", "returned")),
                    f"{chance.randrange(10000):04}",
                    person.ip,
                    f"invoices/{person.file_name}-{number}.pdf" if number % 150 == 1 else None,
                    secret(seed, "order", number)[:24],
                    _before(chance, 700),
                )
            )
            for line, (product, price) in enumerate(
                chance.sample(prices, chance.choice((1, 2, 2, 3))), start=1
            ):
                items.append((number, line, product, chance.choice((1, 1, 2, 4)), price))
    shop.executemany(
        "INSERT INTO orders (id, customer_id, customer_email, shipping_name, shipping_address, status, card_last4, "
        "remote_ip, invoice, access_token, placed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        orders,
    )
    shop.executemany(
        "INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents) "
        "VALUES (?, ?, ?, ?, ?)",
        items,
    )


def _reviews(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person]) -> None:
    products = [row["id"] for row in shop.execute("SELECT id FROM products ORDER BY id")]
    for product in products:
        for person in chance.sample(crowd, min(8, len(crowd))):
            stars, body = chance.choice(_OPINIONS)
            shop.execute(
                "INSERT INTO reviews (product_id, customer_id, signed, stars, body) VALUES (?, ?, ?, ?, ?)",
                (product, person.id, person.name, stars, body),
            )


def _uploads(shop: sqlite3.Connection) -> int:
    """Files for the columns that name one, and an export that somebody forgot in tmp."""
    uploads = {f"products/{slug}.png": pictures.product(slug) for slug in pictures.SLUGS}
    for row in shop.execute("SELECT id, avatar FROM customers WHERE avatar IS NOT NULL"):
        uploads[row["avatar"]] = pictures.avatar(row["id"])
    for row in shop.execute("SELECT * FROM orders WHERE invoice IS NOT NULL"):
        sum_due = f"Due: EUR {row['total_cents'] / 100:.2f}"
        lines = (f"Invoice for order {row['number']}", row["shipping_name"], row["customer_email"], sum_due)
        uploads[row["invoice"]] = files.pdf(lines)
    forgotten = shop.execute("SELECT email, full_name, phone FROM customers ORDER BY id LIMIT 200")
    uploads["tmp/customers-export.csv"] = "\n".join(",".join(map(str, row)) for row in forgotten).encode()
    for name, content in uploads.items():
        file = files.media() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return len(uploads)


def _before(chance: random.Random, days: int) -> str:
    moment = _TODAY - timedelta(minutes=chance.randrange(days * 24 * 60))
    return moment.strftime("%Y-%m-%d %H:%M:%S")
