"""Reads request bodies within limits, and writes responses, as ASGI messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from adapter.serving.messages import WITHOUT_BODY, Refusal, Response

BODY_LIMIT = 1024 * 1024  # bytes of one body
BODIES_LIMIT = 32 * 1024 * 1024  # bytes of all bodies in memory, so that a pod stays within its memory limit
BUSY_RETRY_S = 1  # Retry-After of a response while the adapter is busy or stopping
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientDisconnect(Exception):
    """The caller closed the connection before it had sent the whole request."""


class BodyBudget:
    """Counts the bytes of all bodies in memory."""

    def __init__(self) -> None:
        self.size = 0


class BodyReader:
    """Reads the body of one request. It raises :class:`Refusal` at ``BODY_LIMIT`` and at ``BODIES_LIMIT``."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
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
            body += self._count(message.get("body", b""))
            self.complete = not message.get("more_body")
        return bytes(body)

    def _count(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        self._budget.size += len(chunk)
        if self._size > BODY_LIMIT:
            raise _too_long()
        if self._budget.size > BODIES_LIMIT:
            raise Refusal(503, "too many requests in flight", Retry_After=str(BUSY_RETRY_S), Connection="close")
        return chunk

    def release(self) -> None:
        """Subtract the bytes of this body from the budget."""
        self._budget.size -= self._size


def _too_long() -> Refusal:
    return Refusal(413, f"the body is longer than {BODY_LIMIT} bytes", Connection="close")


async def respond(send: Send, response: Response) -> None:
    length = {} if response.status in WITHOUT_BODY else {"Content-Length": str(len(response.body))}
    listed = {**length, **response.headers}
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in listed.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": response.body})
