"""A web server of a test's own, that keeps what it is sent and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Got:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Listener:
    """`answers` are given one after the other, the last one for ever: a status and a text, or None for no answer at all."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, str] | None] = field(default_factory=lambda: [(201, "{}")])
    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> tuple[int, str] | None:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.got.append(Got(self.command, self.path, headers, json.loads(text or "null")))
            answer = listener.next_answer()
            if answer is None:
                listener.closing.wait()
                return
            status, body = answer
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{listener.url}/elsewhere")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = do_POST  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield listener
    finally:
        listener.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
