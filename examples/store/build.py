"""Build hook: minified styles, product pictures and a stamp. The same source gives the same bytes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a .pyc carries a time

from store import pictures  # noqa: E402
from store.assets import STATIC  # noqa: E402

ROOT = Path(__file__).resolve().parent


def minify(css: str) -> str:
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r" ?([{};,>]) ?", r"\1", css).replace(": ", ":").replace(";}", "}").strip()


def stamp() -> str:
    """A hash of the sources by name and content: no clock, no commit, no machine in it."""
    digest = hashlib.sha256()
    for folder, pattern in ((".", "*.py"), ("store", "**/*.*"), ("migrations", "*.sql")):
        for file in sorted((ROOT / folder).glob(pattern)):
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).hexdigest()
                digest.update(f"{file.relative_to(ROOT).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:12]


def main() -> None:
    shutil.rmtree(STATIC, ignore_errors=True)
    (STATIC / "products").mkdir(parents=True)
    css = minify((ROOT / "store" / "assets.css").read_text(encoding="utf-8")).encode()
    name = f"store.{hashlib.sha256(css).hexdigest()[:10]}.css"
    (STATIC / name).write_bytes(css)
    for slug in pictures.SLUGS:
        (STATIC / "products" / f"{slug}.png").write_bytes(pictures.product(slug))
    manifest = {"stamp": stamp(), "files": {"store.css": name}}
    (STATIC / "build.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    print(f"built {manifest['stamp']}: {name}, {len(pictures.SLUGS)} pictures")


if __name__ == "__main__":
    main()
