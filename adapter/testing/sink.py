"""A real sink on a loopback port that records every CloudEvent and responds as configured."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter.display import parse_event
from adapter.serving.messages import Request, Response
from adapter.serving.server import Limits, Reset, listen, port_of

BODY_SIZE = 16 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """The response to one event. ``reset``: reset the connection instead of responding."""

    status: int = 202
    delay_s: float = 0.0  # before the response
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: bool = False


RESET = Reply(reset=True)


class Sink:
    """``events`` are all CloudEvents that arrived, including retries; ``taken`` are those that were answered 2xx.

    ``refused`` has the reason for each request that is not a CloudEvent; such a request gets 400.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.url = ""
        self._replies: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def answer(self, *replies: int | Reply) -> None:
        """Respond to the next events with these, in turn: a status or a :class:`Reply`. After that, respond 202."""
        self._replies.extend(Reply(reply) if isinstance(reply, int) else reply for reply in replies)

    def wait_for(self, count: int, within_s: float = 10) -> list[dict[str, Any]]:
        """Wait for ``count`` events; return ``events``."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.events) >= count, within_s):
                seen = [(event["type"], event["id"]) for event in self.events]
                raise AssertionError(
                    f"{len(seen)} of {count} events arrived within {within_s:g} s: {seen}; refused: {self.refused}"
                )
            return list(self.events)

    def __enter__(self) -> Sink:
        self._thread.start()
        if not self._started.wait(10):
            raise AssertionError("the sink did not start within 10 s")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await listen(self._handle, 0, Limits(request_s=600, body_size=BODY_SIZE), host="127.0.0.1")
        self.url = f"http://127.0.0.1:{port_of(server)}"
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _handle(self, request: Request) -> Response:
        try:
            event = parse_event(request)
        except ValueError as error:
            self.refused.append(f"{request.method} {request.path}: {error}")
            return Response(400, f"{error}\n".encode("utf-8", "replace"))
        reply = self._replies.popleft() if self._replies else Reply()
        await asyncio.sleep(reply.delay_s)
        with self._changed:
            self.events.append(event)
            if 200 <= reply.status < 300 and not reply.reset:
                self.taken.append(event)
            self._changed.notify_all()
        if reply.reset:
            raise Reset
        return Response(reply.status, reply.body, dict(reply.headers))
