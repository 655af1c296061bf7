"""Carts, and the orders that they become."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from store.accounts import now
from store.database import transaction
from store.web import HttpError

MOST = 20
_FIELDS = {
    "name": "your name",
    "email": "your e-mail address",
    "street": "the street",
    "postcode": "the postcode",
    "city": "the city",
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where an order goes, and who is told."""

    name: str
    email: str
    address: Mapping[str, str]


def read_delivery(form: Mapping[str, str]) -> Delivery:
    """Raises HttpError naming what is missing."""
    absent = [label for name, label in _FIELDS.items() if not 0 < len(form.get(name, "")) <= 120]
    if absent:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"Please give {', '.join(absent)}.")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", form["email"]):
        raise HttpError(HTTPStatus.BAD_REQUEST, "That is not an e-mail address.")
    return Delivery(
        form["name"], form["email"], {part: form[part] for part in ("street", "postcode", "city")}
    )


def cart(connection: sqlite3.Connection, token: str) -> list[sqlite3.Row]:
    return connection.execute(
        "SELECT p.id, p.name, p.image, p.price_cents, p.stock, c.quantity, "
        "p.price_cents * c.quantity AS sum_cents FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.session_token = ? ORDER BY p.name",
        (token,),
    ).fetchall()


def put_in_cart(connection: sqlite3.Connection, token: str, product: int, quantity: int) -> None:
    """Sets how many of a product are in the cart; 0 takes it out. Raises HttpError when that cannot be."""
    if not 0 <= quantity <= MOST:
        raise HttpError(HTTPStatus.BAD_REQUEST, f"We send at most {MOST} of one piece.")
    if not connection.execute("SELECT 1 FROM products WHERE id = ?", (product,)).fetchone():
        raise HttpError(HTTPStatus.NOT_FOUND, "We do not make that.")
    if quantity == 0:
        connection.execute(
            "DELETE FROM cart_items WHERE session_token = ? AND product_id = ?", (token, product)
        )
        return
    connection.execute(
        "INSERT INTO cart_items (session_token, product_id, quantity) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET quantity = excluded.quantity",
        (token, product, quantity),
    )


def place(connection: sqlite3.Connection, session: sqlite3.Row, delivery: Delivery, ip: str) -> str:
    """Turns the cart into an order and queues its confirmation; gives the order's access token.

    Raises HttpError when the cart is empty or something has sold out; nothing is changed then.
    """
    with transaction(connection):
        lines = cart(connection, session["token"])
        if not lines:
            raise HttpError(HTTPStatus.BAD_REQUEST, "Your cart is empty.")
        access = secrets.token_urlsafe(16)
        order = connection.execute(
            "INSERT INTO orders (customer_id, customer_email, shipping_name, shipping_address, status, "
            "remote_ip, access_token, placed_at) VALUES (?, ?, ?, ?, 'placed', ?, ?, ?)",
            (
                session["customer_id"],
                delivery.email,
                delivery.name,
                json.dumps(delivery.address),
                ip,
                access,
                now(),
            ),
        ).lastrowid
        for number, line in enumerate(lines, start=1):
            _sell(connection, order, number, line)
        connection.execute("DELETE FROM cart_items WHERE session_token = ?", (session["token"],))
        _confirm(connection, order, delivery)
    return access


def _sell(connection: sqlite3.Connection, order: int | None, number: int, line: sqlite3.Row) -> None:
    taken = connection.execute(
        "UPDATE products SET stock = stock - ?1 WHERE id = ?2 AND stock >= ?1", (line["quantity"], line["id"])
    ).rowcount
    if not taken:
        raise HttpError(HTTPStatus.CONFLICT, f"{line['name']}: only {line['stock']} left.")
    connection.execute(
        "INSERT INTO order_items (order_id, line, product_id, quantity, unit_price_cents) "
        "VALUES (?, ?, ?, ?, ?)",
        (order, number, line["id"], line["quantity"], line["price_cents"]),
    )


def _confirm(connection: sqlite3.Connection, order: int | None, delivery: Delivery) -> None:
    row = connection.execute("SELECT number, access_token FROM orders WHERE id = ?", (order,)).fetchone()
    base = connection.execute("SELECT value FROM config WHERE path = 'shop/base_url'").fetchone()
    connection.execute(
        "INSERT INTO mail_queue (recipient, subject, body, created_at) VALUES (?, ?, ?, ?)",
        (
            delivery.email,
            f"Your order {row['number']}",
            f"Dear {delivery.name}, thank you. {base['value'] if base else ''}/order/{row['access_token']}",
            now(),
        ),
    )
