"""Secrets taken out of what is written, shown or raised."""

from __future__ import annotations

import base64
from collections.abc import Iterable

SHORTEST = 6
"""Shorter values are words that stand everywhere (`on`, `dev`); hiding them would say where they are."""

HIDDEN = "[hidden]"


class Redactor:
    """Knows the secrets of one operation; a text passes through it before it is written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hides these from now on, line by line and as base64 too."""
        forms = set(self._forms)
        for secret in secrets:
            for part in {secret, *secret.splitlines()}:
                if len(part) >= SHORTEST:
                    forms |= {part, base64.b64encode(part.encode()).decode().rstrip("=")}
        self._forms = sorted(forms, key=len, reverse=True)

    def clean(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text
