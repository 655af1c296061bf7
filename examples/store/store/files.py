"""Uploaded files: where they lie, how they are sent, and the invoices that are among them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

from store.database import ROOT
from store.web import HttpError, Response

_TYPES = {".css": "text/css; charset=utf-8", ".png": "image/png"}


def media() -> Path:
    """The media mount: `media` in the application's directory, or STORE_MEDIA when the shop is run by hand.

    The platform says which directory that is: the code may be reached through links, the mount only there.
    """
    if by_hand := os.environ.get("STORE_MEDIA"):
        return Path(by_hand)
    return Path(os.environ.get("BRANCHLINE_APP_DIR") or ROOT) / "media"


def serve(folders: Iterable[Path], name: str, caching: str) -> Response:
    """The first folder's file of this name. The routes let no `..` and no other type of file get here."""
    for folder in folders:
        file = folder / name
        if file.is_file() and not file.is_symlink():
            return Response(file.read_bytes(), type=_TYPES[file.suffix], headers={"Cache-Control": caching})
    raise HttpError(HTTPStatus.NOT_FOUND, "There is no such file.")


def pdf(lines: Iterable[str]) -> bytes:
    """A valid one-page PDF with these lines of text (Latin-1)."""
    shown = "\n".join(f"({_literal(line)}) Tj T*" for line in lines)
    stream = f"BT /F1 12 Tf 16 TL 60 760 Td\n{shown}\nET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    document, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        document
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            len(document),
        )
    )


def _literal(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
