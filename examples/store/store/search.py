"""Finding products by words: an ordinary table, rebuilt from the catalogue."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter

from store.database import transaction

WEIGHTS = {"name": 5, "category": 3, "description": 1}


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]{2,}", text.lower())


def reindex(connection: sqlite3.Connection) -> int:
    """Rebuilds the index; gives the number of its entries."""
    entries: Counter[tuple[str, int]] = Counter()
    with transaction(connection):
        for product in connection.execute("SELECT id, name, category, description FROM products"):
            for column, weight in WEIGHTS.items():
                for word in words(product[column]):
                    entries[word, product["id"]] += weight
        connection.execute("DELETE FROM search_index")
        connection.executemany(
            "INSERT INTO search_index (term, product_id, weight) VALUES (?, ?, ?)",
            ((term, product, weight) for (term, product), weight in sorted(entries.items())),
        )
    return len(entries)


def find(connection: sqlite3.Connection, query: str) -> list[int]:
    """Ids of the products that have every word (or its beginning), best first."""
    scores: dict[int, int] | None = None
    for word in words(query)[:8]:
        rows = connection.execute(
            "SELECT product_id, sum(weight) FROM search_index "
            "WHERE substr(term, 1, ?) = ? GROUP BY product_id",
            (len(word), word),
        )
        found = dict(rows.fetchall())
        if scores is None:
            scores = found
        else:
            scores = {product: scores[product] + found[product] for product in scores.keys() & found.keys()}
    return sorted(scores or {}, key=lambda product: (-(scores or {})[product], product))
