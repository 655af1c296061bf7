"""What the shop's own people have: accounts, notes, queued mail, a newsletter, secrets of other services."""

from __future__ import annotations

import json
import random
import sqlite3

from store.accounts import hash_password
from store.invented.people import Person, card_number, secret

_STAFF = (
    ("mila", "mila@store.example", "Mila Sundqvist", "owner"),
    ("teo", "teo@store.example", "Teo Marchand", "support"),
    ("noa", "noa@store.example", "Noa Feldt", "warehouse"),
    ("agency", "rosalind@agency.example", "Rosalind Achterberg", "support"),
)
_ABOUT_ORDERS = (
    "Parcel came back. Send it to the address that {email} has, phone {phone}.",
    "Paid by phone with card {card}, receipt to {email}.",
    "Customer rang from {phone}: please put the order together with that of {email}.",
    "Card {card} was refused, second try with {other_card}.",
)
_ABOUT_CUSTOMERS = (
    "Shares an account with {email}.",
    "New number {phone}; the old one belongs to {email}.",
    "Refund to card {card}, agreed with {email}.",
    "Asks that we never call {phone} again.",
)
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/126.0"


def back_office(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person], seed: int) -> None:
    """Part of the caller's transaction."""
    _staff(shop, seed)
    _notes(shop, chance, crowd)
    _visitors(shop, chance, crowd, seed)
    _settings(shop, seed)


def _staff(shop: sqlite3.Connection, seed: int) -> None:
    for number, (username, email, name, role) in enumerate(_STAFF, start=1):
        hashed = hash_password(f"{username} at work", secret(seed, "staff", number)[:16], rounds=2)
        shop.execute(
            "INSERT INTO staff (id, username, email, full_name, password_hash, role, last_login_ip) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, username, email, name, hashed, role, f"203.0.113.{number}"),
        )


def _notes(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person]) -> None:
    def body(templates: tuple[str, ...]) -> str:
        other = chance.choice(crowd)
        return chance.choice(templates).format(
            email=other.email, phone=other.phone, card=card_number(chance), other_card=card_number(chance)
        )

    orders = [row["id"] for row in shop.execute("SELECT id FROM orders ORDER BY id")]
    written = "2025-05-{:02} 09:30:00"
    shop.executemany(
        "INSERT INTO order_notes (order_id, staff_id, body, created_at) VALUES (?, ?, ?, ?)",
        (
            (order, 2 + order % 3, body(_ABOUT_ORDERS), written.format(1 + order % 31))
            for order in orders[::6]
        ),
    )
    shop.executemany(
        "INSERT INTO customer_notes (customer_id, staff_id, body, created_at) VALUES (?, ?, ?, ?)",
        ((p.id, 2 + p.id % 3, body(_ABOUT_CUSTOMERS), written.format(1 + p.id % 31)) for p in crowd[::8]),
    )


def _visitors(shop: sqlite3.Connection, chance: random.Random, crowd: list[Person], seed: int) -> None:
    visiting = crowd[::15]
    shop.executemany(
        "INSERT INTO sessions (token, customer_id, ip, user_agent, created_at, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            (
                secret(seed, "session", p.id),
                p.id,
                p.ip,
                _BROWSER,
                "2025-05-31 20:00:00",
                "2099-01-01 00:00:00",
            )
            for p in visiting
        ),
    )
    shop.executemany(
        "INSERT INTO cart_items (session_token, product_id, quantity) VALUES (?, ?, ?)",
        ((secret(seed, "session", p.id), 1 + p.id % 25, chance.choice((1, 2))) for p in visiting[::2]),
    )
    shop.executemany(
        "INSERT INTO mail_queue (recipient, subject, body, created_at) VALUES (?, ?, ?, ?)",
        (
            (
                p.email,
                "Your parcel is on its way",
                f"Dear {p.name}, it goes to {p.street}, {p.city}.",
                "2025-06-01 11:00:00",
            )
            for p in crowd[::40]
        ),
    )
    shop.executemany(
        "INSERT INTO newsletter (email, full_name, signup_ip, unsubscribe_token, confirmed_at) "
        "VALUES (?, ?, ?, ?, ?)",
        (
            (p.email, p.name, p.ip, secret(seed, "newsletter", p.id), "2025-03-01 08:00:00")
            for p in crowd[::5]
        ),
    )


def _settings(shop: sqlite3.Connection, seed: int) -> None:
    for number, (service, scopes) in enumerate(
        {"parcels": ["orders:read"], "ledger": ["orders:read", "invoices:write"]}.items(), 1
    ):
        shop.execute(
            "INSERT INTO api_tokens (id, integration, token, scopes, last_used_ip) VALUES (?, ?, ?, ?, ?)",
            (number, service, secret(seed, "api", number), json.dumps(scopes), f"192.0.2.{number}"),
        )
    shop.executemany(
        "INSERT INTO config (path, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        [
            ("shop/base_url", "https://www.store.example"),
            ("payment/mode", "live"),
            ("payment/api_key", "sk_live_" + secret(seed, "payment", 1)),
            ("mail/smtp_password", secret(seed, "smtp", 1)),
        ],
    )
