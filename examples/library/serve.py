"""Web process: serves the library on 127.0.0.1, on the port that PORT names (8000 by hand)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import library


class ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    hold = os.environ.get("BRANCHLINE_HOLD_FILE")
    if hold and Path(hold).exists():
        start("503 Service Unavailable", [("Retry-After", "5")])
        return [b"In a moment."]
    status, page = library.answer(environ["PATH_INFO"])
    start(status, [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with make_server("127.0.0.1", port, application, ThreadedServer) as server:
        print(f"Mill Lane Library on http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
