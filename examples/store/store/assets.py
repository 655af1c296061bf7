"""What the build hook made: file names that carry their content's hash, and the build's stamp."""

from __future__ import annotations

import json

from store.database import ROOT

STATIC = ROOT / "static"
_BUILD = STATIC / "build.json"


def build() -> dict:
    """`stamp` and `files` (source name: built name). Empty when nothing was built."""
    if not _BUILD.exists():
        return {"stamp": "unbuilt", "files": {}}
    return json.loads(_BUILD.read_text(encoding="utf-8"))


def url(name: str) -> str:
    """Where a built asset is served."""
    return f"/static/{build()['files'].get(name, name)}"


def missing() -> list[str]:
    """Built files that are not there; the manifest itself when there was no build."""
    files = build()["files"]
    return [name for name in files.values() if not (STATIC / name).is_file()] if files else [_BUILD.name]
