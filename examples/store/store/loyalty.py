"""What a returning customer gets."""

from __future__ import annotations

import sqlite3

BANNER = "Free delivery from €60 · Seconds sale in the workshop every first Saturday"


def standing(customer: sqlite3.Row) -> str:
    """One line for the customer's account page."""
    return f"{customer['loyalty_points']} points"
