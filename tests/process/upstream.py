"""An HTTP interface for tests that answers each GET as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.process.harness import wait_until


@dataclass
class Answer:
    body: bytes | Any = b""  # octets, or a value as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False  # the body again and again
    pause_s: float = 0.0  # between two of them


class Upstream:
    """``answer`` is asked for each request, with its headers and number (from 0)."""

    def __init__(self, answer: Callable[[dict[str, str], int], Answer], context: ssl.SSLContext | None = None) -> None:
        self.asked: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.hung_up = 0
        self.closed = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                upstream.paths.append(self.path)
                upstream.asked.append(headers)
                told = answer(headers, len(upstream.asked) - 1)
                body = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                    while told.endless and not upstream.closed.wait(told.pause_s):
                        self.wfile.write(body)
                except OSError:
                    upstream.hung_up += 1

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that does not trust us is no news here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://localhost:{self._server.server_port}/items"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int) -> None:
        wait_until(lambda: len(self.asked) >= count, f"{count} polls", lambda: self.asked)


def items(*ids: object) -> list[dict[str, object]]:
    return [{"id": id} for id in ids]
