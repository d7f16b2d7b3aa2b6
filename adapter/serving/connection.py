"""One connection of a client: time limits, one response after the other, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from adapter.serving.logs import error_location
from adapter.serving.messages import Refusal, Request, Response
from adapter.serving.wire import BUSY_RETRY_S, CONTINUE, READ_SIZE, Received, RequestReader, encode

LINGER_S, LINGER_SIZE = 1.0, 4 * 1024 * 1024  # how long, and how many bytes, to read after a refusal

Handler = Callable[[Request], Awaitable[Response]]
log = logging.getLogger("adapter.serving")  # a name of its own: JsonHandler throttles its lines


class Reset(Exception):
    """Raise it in a handler to reset the connection instead of responding."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A request beyond a limit is not handled. It gets the status in brackets, and the connection ends."""

    head_s: float  # seconds for a request head, from the connection or from its first byte (no response)
    body_s: float  # seconds for a body after its head (408)
    keep_alive_s: float  # seconds from a response to the next request, or until the client reads it (no response)
    head_size: int = 64 * 1024  # bytes of a head (431)
    body_size: int = 1024 * 1024  # bytes of a body (413)
    total_size: int = 32 * 1024 * 1024  # bytes of all requests in memory (503)


SINK_LIMITS = Limits(  # of sinks for developers and tests, which may wait for minutes
    head_s=600, body_s=600, keep_alive_s=600, body_size=16 * 1024 * 1024, total_size=512 * 1024 * 1024
)


@dataclass(eq=False)
class Connections:
    """What the connections of one server share."""

    handler: Handler
    limits: Limits
    opened: set[Connection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # asyncio itself keeps only weak references
    none_open: asyncio.Event = field(default_factory=asyncio.Event)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_SIZE)))
    size: int = 0  # bytes of all requests in memory
    draining: bool = False  # each response closes its connection


class Connection(asyncio.BufferedProtocol):
    """The protocol of asyncio. It has no task and no timer except the ones that its state needs."""

    _transport: asyncio.Transport

    def __init__(self, shared: Connections) -> None:
        self._shared, limits = shared, shared.limits
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(limits.head_size, limits.body_size)
        self._refusal: Response | None = None  # the last response
        self._task: asyncio.Task[None] | None = None  # responds to the requests in the queue
        self._ended = False  # nothing more is read
        self._lingering = False
        self._dropped = 0  # bytes read while lingering
        self._handled = 0  # bytes of the request that is being handled
        self._counted = 0  # bytes of this connection in Connections.size
        self._writable: asyncio.Future[None] | None = None  # set while the client does not read its responses
        self._timer: asyncio.TimerHandle | None = None
        self._timed: tuple[str, int] | None = None  # what the timer limits, and of which request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._shared.opened.add(self)
        self._shared.none_open.clear()
        self._settle()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._reader.stop()
        self._reader.queue.clear()
        self._count()
        self._set_timer(None)
        self.resume_writing()
        self._shared.opened.discard(self)
        if not self._shared.opened:
            self._shared.none_open.set()

    def eof_received(self) -> bool:
        """The client sends no more. True, which keeps the connection open, while a response is due."""
        self._ended = True
        return self._task is not None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._shared.buffer

    def buffer_updated(self, size: int) -> None:
        if self._ended:
            self._dropped += size
            if self._dropped > LINGER_SIZE:
                self._transport.abort()
            return
        try:
            self._reader.feed(self._shared.buffer[:size])
            self._ended = self._reader.ended
            self._count()
            if self._reader.reading and self._shared.size > self._shared.limits.total_size:
                raise Refusal(503, "too many requests in flight", Retry_After=str(BUSY_RETRY_S))
        except Refusal as refusal:
            self._refuse(refusal)
        self._settle()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def shutdown(self) -> None:
        """Close the connection, after the response to the request that is being handled."""
        self._end()
        self._lingering = False
        self._settle()

    def abort(self) -> None:
        """Close the connection without a response."""
        self._transport.abort()
        if self._task:
            self._task.cancel()

    def _end(self) -> None:
        """Respond to no request that is not being handled yet."""
        self._ended, self._refusal = True, None
        self._reader.queue.clear()

    def _refuse(self, refusal: Refusal) -> None:
        """Make this the last response of the connection."""
        self._ended, self._refusal = True, refusal.response()
        self._reader.stop()

    async def _respond(self) -> None:
        """Handle the requests in the queue, in their order."""
        queue = self._reader.queue
        while queue and not self._transport.is_closing():
            received = queue.popleft()
            self._handled = received.size
            try:
                octets = await self._handle(received)
            except Reset:
                self._forget_task()
                return self._reset()
            self._handled = 0
            await self._write(octets)
        if self._refusal:
            # The client may still be sending. A close would reset the connection before it reads the response.
            await self._write(encode(self._refusal, head=False, close=True))
            self._refusal, self._lingering = None, True
            with contextlib.suppress(OSError):  # the client has closed the connection
                self._transport.write_eof()
        self._forget_task()
        self._settle()

    def _forget_task(self) -> None:
        if self._task:
            self._shared.tasks.discard(self._task)
            self._task = None

    async def _handle(self, received: Received) -> bytes:
        """The bytes of the response. An error of the handler is logged without its text, and is 500."""
        try:
            return self._encode(received, await self._shared.handler(received.request))
        except Reset:
            raise
        except (Exception, SystemExit) as error:
            fields = {"error": type(error).__name__, "at": error_location(error)}
            log.error("request failed", extra={"fields": fields})
            return self._encode(received, Response(500, b"the request failed; see the log\n"))

    def _encode(self, received: Received, response: Response) -> bytes:
        wants_close = any(name.lower() == "connection" for name in response.headers)  # its only use is "close"
        if wants_close or self._shared.draining or not received.keep_alive:
            self._end()
        last = self._ended and not self._reader.queue and not self._refusal
        return encode(response, head=received.request.method == "HEAD", close=last)

    async def _write(self, octets: bytes) -> None:
        """Write a response, and wait until the client has read the ones before it."""
        if self._transport.is_closing():
            return
        self._transport.write(octets)
        if self._writable:
            try:
                async with asyncio.timeout(self._shared.limits.keep_alive_s):
                    await self._writable
            except TimeoutError:
                self._transport.abort()

    def _reset(self) -> None:
        if self._transport.is_closing():
            return
        no_linger = struct.pack("ii", 1, 0)  # without SO_LINGER the client would see a normal end
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self._transport.abort()

    def _settle(self) -> None:
        """Respond, close, pause reading, and set the timer, as the state demands."""
        self._count()
        transport, reader = self._transport, self._reader
        if transport.is_closing():
            return
        if self._task is None and (reader.queue or self._refusal):
            self._task = self._loop.create_task(self._respond())
            self._shared.tasks.add(self._task)
        paused = self._task is not None and (self._ended or len(reader.queue) + bool(self._handled) > 1)
        (transport.pause_reading if paused else transport.resume_reading)()
        if self._task is None and self._ended and not self._lingering:
            transport.close()
        elif self._task is None and reader.expects_continue:
            reader.expects_continue = False
            transport.write(CONTINUE)
        self._set_timer(None if paused else self._awaited())

    def _awaited(self) -> tuple[str, int] | None:
        """What the client must do in time, and of which request."""
        if self._transport.is_closing():
            return ("end", 0) if self._transport.get_write_buffer_size() else None
        if self._lingering:
            return "linger", 0
        if self._ended:
            return None
        heads, reading = self._reader.heads, self._reader.reading
        if reading or heads == 0:
            return reading or "head", heads
        return None if self._task else ("request", heads)

    def _set_timer(self, timed: tuple[str, int] | None) -> None:
        if timed == self._timed:
            return
        if self._timer:
            self._timer.cancel()
        limits, self._timed, self._timer = self._shared.limits, timed, None
        if timed:
            idle_s = limits.keep_alive_s
            seconds = {"head": limits.head_s, "body": limits.body_s, "request": idle_s, "end": idle_s}
            self._timer = self._loop.call_later(seconds.get(timed[0], LINGER_S), self._expired, timed[0])

    def _expired(self, what: str) -> None:
        self._timed = None
        if what in ("linger", "end"):
            self._transport.abort()
        elif what == "body":
            self._refuse(Refusal(408, f"the request took longer than {self._shared.limits.body_s:g} s"))
        self._reader.stop()
        self._ended = True
        self._settle()

    def _count(self) -> None:
        """Count the bytes of this connection's requests in ``Connections.size``."""
        size = self._reader.size + self._handled
        if self._reader.queue:
            size += sum(received.size for received in self._reader.queue)
        self._shared.size += size - self._counted
        self._counted = size
