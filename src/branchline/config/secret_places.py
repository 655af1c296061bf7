"""Where secrets lie: settings name the place, never the secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, with_config

from branchline.config.schema import Broken
from branchline.domain.app import FORBID_UNKNOWN


def _directory(value: Any) -> Any:
    """An absolute path, ~ expanded. Raises ValueError for a relative one: commands run anywhere."""
    if not isinstance(value, str):
        raise ValueError("must be the path of a directory")  # noqa: TRY004 (pydantic takes ValueErrors)
    path = Path(value).expanduser()
    if not path.is_absolute():
        raise ValueError("must be an absolute path, or begin with ~")
    return path


Directory = Annotated[Path, BeforeValidator(_directory)]


@with_config(FORBID_UNKNOWN)
@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret lies. Never the secret itself."""

    file: Directory | None = None
    """A file whose content it is."""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The name of an environment variable whose value it is."""

    def __str__(self) -> str:
        return str(self.file or self.env)


UrlOrReference = Annotated[
    Annotated[str, Tag("[url]")] | Annotated[SecretReference, Tag("[reference]")],
    Discriminator(lambda value: "[url]" if isinstance(value, str) else "[reference]"),
]
"""A URL without a password, or where one with a password lies."""


def read_url(place: str | SecretReference) -> str:
    """The URL, from where it lies; empty where it cannot be read."""
    if not isinstance(place, SecretReference):
        return place
    try:
        return place.file.read_text().strip() if place.file else os.environ.get(place.env or "", "")
    except (OSError, UnicodeError):
        return ""


def has_password(url: str) -> bool:
    """Whether a URL holds one, as a part of its own or as a parameter."""
    try:
        parts = urlsplit(url)
        return bool(parts.password or {"password", "sslpassword"} & parse_qs(parts.query).keys())
    except ValueError:
        return "@" in url


def one_place(key: tuple[str, ...], place: str | SecretReference | None) -> Iterator[Broken]:
    """What is wrong with a reference: that it names no place, or two."""
    if isinstance(place, SecretReference) and (place.file is None) == (place.env is None):
        what = {"sanitize_key": "key", "token": "token"}.get(key[-1], "URL")
        yield key, f"must have either file or env: the place where the {what} lies"
