"""A token server of OAuth 2.0 for tests: client credentials (RFC 6749, section 4.4), and nothing else."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.process.harness import free_port

Answer = tuple[int, dict[str, Any]]


class TokenServer:
    """Gives tokens to one client. ``issued``: all tokens; ``most_at_once``: the most requests that ran concurrently.

    ``stop()`` closes its port, and ``start()`` opens the same one again.
    """

    def __init__(self, client: str, secret: str, scopes: set[str], lifetime_s: float) -> None:
        self.issued: list[str] = []
        self.refused: list[Answer] = []
        self.most_at_once = 0
        self._client, self._secret, self._scopes, self._lifetime_s = client, secret, scopes, lifetime_s
        self._until: dict[str, float] = {}
        self._at_once, self._lock = 0, threading.Lock()
        self._port = free_port()  # stays free while the server is stopped
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/token"

    def accepts(self, authorization: str | None) -> bool:
        """Whether the header has a token that is neither expired nor revoked."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme == "Bearer" and time.monotonic() < self._until.get(token, 0.0)

    def revoke(self) -> None:
        """All tokens are invalid from now on, although they have not expired."""
        self._until.clear()

    def start(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with server._lock:
                    server._at_once += 1
                    server.most_at_once = max(server.most_at_once, server._at_once)
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                status, fields = server._answer(dict(self.headers), {name: each[-1] for name, each in form.items()})
                with server._lock:
                    server._at_once -= 1
                body = json.dumps(fields).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> TokenServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _answer(self, headers: dict[str, str], form: dict[str, str]) -> Answer:
        if problem := self._problem(headers, form):
            self.refused.append(problem)
            return problem
        token = secrets.token_urlsafe(24)
        self._until[token] = time.monotonic() + self._lifetime_s
        self.issued.append(token)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": self._lifetime_s}

    def _problem(self, headers: dict[str, str], form: dict[str, str]) -> Answer | None:
        if headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return 400, {"error": "invalid_request", "error_description": "the body is not a form"}
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        given = base64.b64decode(encoded).decode() if scheme == "Basic" else ":"
        client, secret = (unquote_plus(part) for part in given.split(":", 1))
        if (client, secret) != (self._client, self._secret):
            # Like some real servers, it repeats what it got.
            return 401, {"error": "invalid_client", "error_description": f"{secret} is not the secret of {client}"}
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        if not set(form.get("scope", "").split()) <= self._scopes:
            return 400, {"error": "invalid_scope"}
        return None
