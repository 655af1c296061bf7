"""What a returning customer gets: a tier, by points."""

from __future__ import annotations

import sqlite3

BANNER = "New: silver and gold members get free delivery on every order"


def standing(customer: sqlite3.Row) -> str:
    """One line for the customer's account page."""
    return f"{customer['loyalty_tier']} member, {customer['loyalty_points']} points"
