"""Customers' passwords and sessions."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from datetime import UTC, datetime, timedelta

from store.database import transaction
from store.web import Request

COOKIE = "store_session"
ROUNDS = 120_000
_LIFETIME = timedelta(days=14)


def hash_password(password: str, salt: str, rounds: int = ROUNDS) -> str:
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), rounds).hex()
    return f"pbkdf2_sha256${rounds}${salt}${digest}"


# Compared with when there is no such customer, so that the answer takes as long.
_NOBODY = hash_password(secrets.token_hex(16), secrets.token_hex(8))


def password_matches(password: str, stored: str) -> bool:
    """False also for a hash of a form that is not ours, as a sanitized copy of the shop has them."""
    algorithm, _, rest = stored.partition("$")
    rounds, _, rest = rest.partition("$")
    salt = rest.partition("$")[0]
    if algorithm != "pbkdf2_sha256" or not rounds.isdecimal() or not 0 < int(rounds) <= 10 * ROUNDS:
        return False
    return hmac.compare_digest(hash_password(password, salt, int(rounds)), stored)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def session(connection: sqlite3.Connection, request: Request) -> sqlite3.Row | None:
    """The visitor's session, when there is one that has not expired."""
    return connection.execute(
        "SELECT * FROM sessions WHERE token = ? AND expires_at > ?", (request.cookies.get(COOKIE, ""), now())
    ).fetchone()


def start_session(connection: sqlite3.Connection, request: Request) -> str:
    """A new session for somebody who is not signed in yet; gives its token."""
    token = secrets.token_urlsafe(32)
    expires = (datetime.now(UTC) + _LIFETIME).strftime("%Y-%m-%d %H:%M:%S")
    connection.execute(
        "INSERT INTO sessions (token, ip, user_agent, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        (token, request.ip, request.user_agent, now(), expires),
    )
    return token


def sign_in(connection: sqlite3.Connection, request: Request, login: str, password: str) -> str | None:
    """Signs in by e-mail address or username, with a new token that takes the cart along; None: refused."""
    customer = connection.execute(
        "SELECT id, password_hash FROM customers WHERE lower(email) = lower(?1) OR username = ?1", (login,)
    ).fetchone()
    if not password_matches(password, customer["password_hash"] if customer else _NOBODY) or not customer:
        return None
    with transaction(connection):
        strengthen(connection, customer, password)
        old = session(connection, request)
        token = start_session(connection, request)
        connection.execute("UPDATE sessions SET customer_id = ? WHERE token = ?", (customer["id"], token))
        if old:
            connection.execute(
                "UPDATE cart_items SET session_token = ? WHERE session_token = ?", (token, old["token"])
            )
            connection.execute("DELETE FROM sessions WHERE token = ?", (old["token"],))
        connection.execute("UPDATE customers SET last_ip = ? WHERE id = ?", (request.ip, customer["id"]))
    return token


def strengthen(connection: sqlite3.Connection, customer: sqlite3.Row, password: str) -> None:
    """Hashes the password again when it was hashed with fewer rounds than today."""
    if int(customer["password_hash"].split("$")[1]) < ROUNDS:
        hashed = hash_password(password, secrets.token_hex(8))
        connection.execute("UPDATE customers SET password_hash = ? WHERE id = ?", (hashed, customer["id"]))


def sign_out(connection: sqlite3.Connection, token: str) -> None:
    connection.execute("DELETE FROM sessions WHERE token = ?", (token,))


def cookie(token: str, *, secure: bool) -> str:
    age = int(_LIFETIME.total_seconds()) if token else 0
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}" + ("; Secure" if secure else "")
