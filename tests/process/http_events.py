"""Sends CloudEvents to a display."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from tests.deadline import DEADLINE_S

ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/apis/v1/things/a", "type": "com.example.thing"}


def post(url: str, data: Any = None, headers: dict[str, str] | None = None, **attributes: Any) -> int:
    """Send an event in structured mode, so that attributes may have any character. Returns the status."""
    body = json.dumps({**ATTRIBUTES, **attributes, "data": data}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/cloudevents+json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class Flood:
    """Sends events over one connection as fast as the sink answers them."""

    BATCH = 16  # requests at once

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((str(parts.hostname), parts.port or 80), DEADLINE_S)
        self.sent = 0

    def send(self, count: int, data: str = "") -> None:
        """At least ``count`` events."""
        end = self.sent + count
        while self.sent < end:
            self._socket.sendall(b"".join(self._request(self.sent + n, data) for n in range(self.BATCH)))
            answers = b""
            while answers.count(b"HTTP/1.1 ") < self.BATCH or not answers.endswith(b"\r\n\r\n"):
                answers += self._socket.recv(64 * 1024)
            self.sent += self.BATCH

    def close(self) -> None:
        self._socket.close()

    def _request(self, n: int, data: str) -> bytes:
        body = json.dumps({"sequence": n, "data": data}).encode()
        head = (
            f"POST / HTTP/1.1\r\nHost: h\r\nce-specversion: 1.0\r\nce-id: {n}\r\nce-source: /flood\r\n"
            f"ce-type: com.example.flood\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
