"""Cron: rebuilds the search index, so that products edited by hand are found."""

from __future__ import annotations

from contextlib import closing

from store import database, search

if __name__ == "__main__":
    with closing(database.connect()) as shop:
        print(f"{search.reindex(shop)} search entries")
