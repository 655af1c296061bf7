"""Where the state database is, read from where the settings say that its URL lies."""

from __future__ import annotations

from pathlib import Path

from branchline.config.secret_places import read_url
from branchline.config.settings import Settings
from branchline.errors import BadInput


def state_url(settings: Settings, default: Path) -> str:
    """The URL; without one in the settings, that of an SQLite file. Raises BadInput when it cannot be read."""
    place = settings.state_url
    if not place:
        return f"sqlite:///{default}"
    url = read_url(place)
    if not url:
        raise BadInput(
            309,
            f"The URL of the state database cannot be read from {place}, which state_url names.",
            "put it there, readable for this user only",
        )
    return url
