"""Web process: serves the shop on 127.0.0.1, on the port that PORT names (8000 by hand)."""

from __future__ import annotations

import os
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from store.app import application


class ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(WSGIRequestHandler):
    timeout = 30

    def address_string(self) -> str:
        return self.client_address[0]


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with make_server("127.0.0.1", port, application, ThreadedServer, Handler) as server:
        print(f"Harbour & Clay on http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()
