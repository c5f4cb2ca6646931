"""A receiver of webhooks on loopback, which answers as it is told and writes down what came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

__all__ = ["Came", "Receiver", "receiving"]

Answer = tuple[int, dict[str, str]]


class Came(NamedTuple):
    """A request; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """`answer` says what becomes of a request; it may take its time."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.answer: Callable[[Came], Answer] = lambda _: (204, {})
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                came = Came(self.path, headers, body)
                receiver.came.append(came)
                status, more = receiver.answer(came)
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def of(self, webhook_id: str) -> list[Came]:
        return [came for came in self.came if came.headers.get("webhook-id") == webhook_id]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Give a receiver for as long as it is needed."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()
