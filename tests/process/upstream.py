"""An HTTP server for tests. A function gives the response to each GET."""

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
    body: bytes | Any = b""  # anything but bytes is sent as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False  # repeat the body until the client disconnects
    pause_s: float = 0.0  # between two repetitions


class Upstream:
    """``answer`` is called for each request with its headers and its number, from 0."""

    def __init__(self, answer: Callable[[dict[str, str], int], Answer], context: ssl.SSLContext | None = None) -> None:
        self.asked: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.hung_up = 0
        self.closed = threading.Event()
        upstream = self
        counting = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                with counting:
                    upstream.paths.append(self.path)
                    upstream.asked.append(headers)
                    n = len(upstream.asked) - 1
                response = answer(headers, n)
                body = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                    while response.endless and not upstream.closed.wait(response.pause_s):
                        self.wfile.write(body)
                except OSError:
                    with counting:
                        upstream.hung_up += 1

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Prints nothing: some tests expect clients that do not trust the certificate."""

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
