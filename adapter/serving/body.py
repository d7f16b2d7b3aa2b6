"""A request's body within its limits, and an answer: what a listener does with ASGI's messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from adapter.serving.messages import Refusal

BODY_LIMIT = 1024 * 1024
BODIES_LIMIT = 32 * 1024 * 1024  # of all requests together, from their first octet to their answer
BUSY_S = 1  # Retry-After
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientDisconnect(Exception):
    """The caller hung up before its request was whole."""


class BodyBudget:
    """How much all bodies together hold; a pod has so much memory and no more."""

    def __init__(self) -> None:
        self.size = 0


class BodyReader:
    """One request's body, read within its own limit and that of all together."""

    def __init__(self, all: BodyBudget) -> None:
        self._all = all
        self._size = 0
        self.complete = False

    async def read(self, receive: Receive, content_length: str | None) -> bytes:
        if content_length and content_length.isdecimal() and int(content_length) > BODY_LIMIT:
            raise _too_long()
        body = bytearray()
        while not self.complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += self._counted(message.get("body", b""))
            self.complete = not message.get("more_body")
        return bytes(body)

    def _counted(self, octets: bytes) -> bytes:
        self._size += len(octets)
        self._all.size += len(octets)
        if self._size > BODY_LIMIT:
            raise _too_long()
        if self._all.size > BODIES_LIMIT:
            raise Refusal(503, "too many requests are under way", Retry_After=str(BUSY_S), Connection="close")
        return octets

    def release(self) -> None:
        self._all.size -= self._size


def _too_long() -> Refusal:
    return Refusal(413, f"a body has at most {BODY_LIMIT} bytes", Connection="close")


async def respond(send: Send, status: int, text: str, headers: dict[str, str]) -> None:
    body = f"{text}\n".encode("utf-8", "replace") if text else b""
    listed = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), **headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in listed.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
