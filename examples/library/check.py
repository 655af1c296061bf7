"""Command check of a candidate: its schema is the one that its code needs."""

from __future__ import annotations

import sys

import library

with library.connect() as connection:
    if trouble := library.problems(connection):
        sys.exit("\n".join(trouble))
print("ok")
