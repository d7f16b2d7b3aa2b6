"""A real sink on a loopback port that records every CloudEvent and responds as configured."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter.cloudevents.decode import parse_event
from adapter.serving.connection import Reset
from adapter.serving.limits import SINK_LIMITS
from adapter.serving.messages import Request, Response
from adapter.serving.server import listen

START_S = 30.0


@dataclass(frozen=True)
class SinkReply:
    """The response of a :class:`Sink` to one event."""

    status: int = 202  # HTTP status code
    delay_s: float = 0.0  # seconds before the response
    headers: Mapping[str, str] = field(default_factory=dict)  # response headers, like {"Retry-After": "3"}
    body: bytes = b""  # response body
    reset: bool = False  # True: reset the connection instead of responding


RESET = SinkReply(reset=True)


class Sink:
    """An HTTP server on 127.0.0.1. It runs inside ``with Sink() as sink``; ``url`` is its address.

    ``events``: all CloudEvents that arrived, including retries. Each is a dict of its attributes, ``extensions`` (a
    dict, also with ``traceparent``) and ``data`` (parsed if it is JSON, otherwise a text). ``taken``: those with a 2xx
    response. ``refused``: a text with the reason for each request that is not a CloudEvent; such a request gets 400.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.url = ""
        self._replies: deque[SinkReply] = deque()
        self._changed = threading.Condition()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def answer(self, *replies: int | SinkReply) -> None:
        """Set the responses to the next events, in turn: status codes or :class:`SinkReply`. After that: 202."""
        self._replies.extend(SinkReply(reply) if isinstance(reply, int) else reply for reply in replies)

    def wait_for(self, count: int, within_s: float = 30) -> list[dict[str, Any]]:
        """Wait for ``count`` events; return ``events``. ``AssertionError`` after ``within_s`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.events) >= count, within_s):
                seen = [(event["type"], event["id"]) for event in self.events]
                raise AssertionError(
                    f"{len(seen)} of {count} events arrived within {within_s:g} s: {seen}; refused: {self.refused}"
                )
            return list(self.events)

    def __enter__(self) -> Sink:
        self._thread.start()
        if not self._started.wait(START_S):
            raise AssertionError(f"the sink did not start within {START_S:g} s")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await listen(self._handle, 0, SINK_LIMITS, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{server.port}"
        self._started.set()
        await self._stop.wait()
        await server.close()

    async def _handle(self, request: Request) -> Response:
        try:
            event = parse_event(request)
        except ValueError as error:
            self.refused.append(f"{request.method} {request.path}: {error}")
            return Response(400, f"{error}\n".encode("utf-8", "replace"))
        reply = self._replies.popleft() if self._replies else SinkReply()
        await asyncio.sleep(reply.delay_s)
        with self._changed:
            self.events.append(event)
            if 200 <= reply.status < 300 and not reply.reset:
                self.taken.append(event)
            self._changed.notify_all()
        if reply.reset:
            raise Reset
        return Response(reply.status, reply.body, dict(reply.headers))
