"""Fills an empty shop with customers, orders and uploads, all invented: `python3 seed.py [customers] [seed]`.

The same two numbers give the same rows and files. The deploy hook never runs this.
"""

from __future__ import annotations

import sys
from contextlib import closing

from store import database
from store.invented import fill

if __name__ == "__main__":
    customers, seed = (int(given) for given in [*sys.argv[1:3], *["20000", "1"][len(sys.argv) - 1 :]])
    with closing(database.connect()) as shop:
        if shop.execute("SELECT 1 FROM customers LIMIT 1").fetchone():
            sys.exit("this shop has customers already: seed an empty one")
        made = fill(shop, customers, seed)
    print(", ".join(f"{count} {what}" for what, count in made.items()))
