"""Files that an operator edits, as they lie on this host."""

from __future__ import annotations

from pathlib import Path

from branchline.config.yaml_source import MAX_BYTES, Document, load_mapping
from branchline.errors import BadInput


def open_file(path: Path) -> Document:
    """A file of keys and values. Raises BadInput (104) where it cannot be read; what is wrong in it is in `problems`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            104,
            f"The configuration file {path} cannot be read: {error.strerror or error}.",
            "create it, or give the right path; the checkout's config/ has each file with every key explained",
        ) from error
    return load_mapping(path.name, data)
