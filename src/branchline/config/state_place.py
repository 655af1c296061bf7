"""Where the state database is, read from where the settings say that its URL lies."""

from __future__ import annotations

import os
from pathlib import Path

from branchline.config.settings import SecretReference, Settings
from branchline.errors import BadInput


def state_url(settings: Settings, default: Path) -> str:
    """The URL; without one in the settings, that of an SQLite file. Raises BadInput when it cannot be read."""
    place = settings.state_url
    if not isinstance(place, SecretReference):
        return place or f"sqlite:///{default}"
    try:
        url = place.file.read_text().strip() if place.file else os.environ.get(place.env or "", "")
    except (OSError, UnicodeError):
        url = ""
    if not url:
        raise BadInput(
            309,
            f"The URL of the state database cannot be read from {place.file or place.env}, which state_url names.",
            "put it there, readable for this user only",
        )
    return url
