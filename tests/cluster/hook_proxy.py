"""An HTTP proxy between Metacontroller and the hook: forwards like a Service, records exchanges, injects faults."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from adapter.contract.formats import format_time
from tests.cluster.loopback import LoopbackServer
from tests.deadline import DEADLINE_S


@dataclass(frozen=True)
class Exchange:
    path: str  # with its query
    request: dict[str, Any]
    status: int  # 0: no response
    response: Any
    time: str  # of the request, RFC 3339

    @property
    def parent(self) -> tuple[str, str]:
        metadata = self.request["parent"]["metadata"]
        return metadata["namespace"], metadata["name"]


class HookProxy:
    """``backends``: the ports of hook replicas on this machine, called in turn; a closed port is skipped."""

    def __init__(self, backends: Sequence[int]) -> None:
        self.backends = list(backends)
        self.exchanges: list[Exchange] = []
        self.down = False  # close each connection without a response
        self.fail_status: int | None = None  # answer this status without calling the hook
        self.delay_s = 0.0
        self.rewrite: Callable[[Any], Any] | None = None  # changes each /sync response
        self._turn = itertools.count()
        hook_proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                hook_proxy.handle_post(self)

            def log_message(self, *args: object) -> None:
                pass

        self._server = LoopbackServer(Handler)
        self.url, self.close = self._server.url, self._server.close

    def reset(self) -> None:
        self.down, self.fail_status, self.delay_s, self.rewrite = False, None, 0.0, None

    def calls(self, namespace: str, name: str, path: str = "/sync") -> list[Exchange]:
        return [
            exchange
            for exchange in list(self.exchanges)
            if exchange.parent == (namespace, name) and exchange.path.startswith(path)
        ]

    def describe_last_exchange(self, namespace: str) -> str:
        """The last exchange about a source of this namespace, to print when a test fails."""
        found = [exchange for exchange in list(self.exchanges) if exchange.parent[0] == namespace]
        if not found:
            return "the hook was not called"
        last = found[-1]
        return (
            f"{len(found)} exchanges; the last: {last.path}\n{json.dumps(last.request)}\n{last.status} {last.response}"
        )

    def handle_post(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        now = format_time(datetime.now(UTC))
        time.sleep(self.delay_s)
        status, answer = (
            (0, b"")
            if self.down
            else (self.fail_status, b"broken")
            if self.fail_status
            else self._forward(handler, body)
        )
        if self.rewrite and status == 200 and handler.path.startswith("/sync"):
            answer = json.dumps(self.rewrite(json.loads(answer))).encode()
        self.exchanges.append(Exchange(handler.path, json.loads(body), status, _json(answer), now))
        if not status:
            handler.close_connection = True
            return
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
        except OSError:  # Metacontroller has closed the connection
            handler.close_connection = True

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        first = next(self._turn)
        for n in range(len(self.backends)):
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.backends[(first + n) % len(self.backends)], timeout=DEADLINE_S
            )
            try:
                connection.request("POST", handler.path, body, {"Content-Type": "application/json"})
            except OSError:
                continue  # a Service also skips a pod that is gone
            try:
                response = connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException):
                return 0, b""
            finally:
                connection.close()
        return 0, b""


def _json(octets: bytes) -> Any:
    try:
        return json.loads(octets)
    except ValueError:
        return octets.decode("utf-8", "replace")
