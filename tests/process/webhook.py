"""A WebhookSource process and its callers."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from typing import Any

import httpx2

from tests.process.harness import DEADLINE_S, Process, Start, free_port, listens, wait_until

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Webhook:
    """A WebhookSource with this sink. Keywords in capitals are variables, the others are fields of ``spec``."""

    def __init__(self, start: Start, sink: str, secret: str = "", delivery: Any = None, **config: Any) -> None:
        self.port, self.health_port = free_port(), free_port()
        own = {name: config.pop(name) for name in list(config) if name.isupper()}
        environ = {
            "SOURCE_KIND": "WebhookSource",
            "K_SINK": sink,
            "EVENT_SOURCE": "/a/b",
            "PORT": str(self.port),
            "HEALTH_PORT": str(self.health_port),
            "SOURCE_CONFIG": json.dumps(config),
            **({"SOURCE_SECRET_0": secret} if secret else {}),
            **({"SOURCE_DELIVERY": json.dumps(delivery)} if delivery else {}),
            **own,
        }
        self.process: Process = start("adapter", **environ)
        self.url = f"http://127.0.0.1:{self.port}"
        wait_until(lambda: listens(self.port), "the webhook", lambda: self.process.errors)

    def post(self, content: bytes = b"{}", path: str = "/", **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(self.url + path, content=content, headers=named, timeout=DEADLINE_S, trust_env=False)


SECRET = {"type": "github", "secret": {"$env": "SOURCE_SECRET_0"}}


def github(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def raw(hook: Webhook, octets: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", hook.port), timeout=DEADLINE_S)
    connection.sendall(octets)
    return connection
