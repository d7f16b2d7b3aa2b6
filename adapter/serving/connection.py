"""One connection of a client: time limits, one response after the other, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from adapter.serving.failures import cancels_this_task
from adapter.serving.limits import SMALL_SIZE, TOO_MUCH, Connections
from adapter.serving.logs import error_location
from adapter.serving.messages import Refusal, Response, Stream
from adapter.serving.sockets import reset_on_close
from adapter.serving.state_timer import StateTimer
from adapter.serving.wire import (
    BUSY_RETRY_S,
    CONTINUE,
    CheckHead,
    Received,
    RequestReader,
    encode,
    encode_stream,
    send_stream,
)

LINGER_SIZE = 4 * 1024 * 1024  # bytes to read after a refusal

log = logging.getLogger("adapter.serving")  # a name of its own: JsonHandler throttles its lines


class Reset(Exception):
    """Raise it in a handler to reset the connection instead of responding."""


class Connection(asyncio.BufferedProtocol):
    """The protocol of asyncio. It has no task and no timer except the ones that its state needs.

    ``check_head`` may refuse a request as soon as its head is read.
    """

    _transport: asyncio.Transport

    def __init__(self, shared: Connections, check_head: CheckHead | None = None) -> None:
        self._shared, limits = shared, shared.limits
        self._loop = asyncio.get_running_loop()
        self._use_until = self._loop.time() + limits.new_age_s()
        self._reader = RequestReader(limits.head_size, limits.body_size, check_head, limits.body_sizes)
        self._refusal: Response | None = None  # the last response
        self._stream: Stream | None = None  # the last response, too
        self._task: asyncio.Task[None] | None = None  # responds to the requests in the queue
        self._ended = False  # nothing more is read
        self._lingering = False
        self._dropped = 0  # bytes read while lingering
        self._handled = 0  # bytes of the request that is being handled
        self._counted = 0  # bytes of this connection in Connections.size
        self._writable: asyncio.Future[None] | None = None  # set while the client does not read its responses
        self._timer = StateTimer(limits.seconds, self._expired)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1)  # at most one response waits for the client; 0 would stop TLS
        if not self._shared.add(self):
            self._refuse(self._busy("too many connections"))
        self._settle()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._reader.stop()
        self._reader.queue.clear()
        self._count()
        self._timer.stop()
        self.resume_writing()
        self._shared.remove(self)

    def eof_received(self) -> bool:
        """The client sends no more. Returns True while a response is due: asyncio then keeps the connection open."""
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
            if self._shared.is_full and self._counted > SMALL_SIZE:
                self._reader.queue.clear()
                raise self._busy(TOO_MUCH)
        except Refusal as refusal:
            self._refuse(refusal)
        self._settle()

    @property
    def is_new(self) -> bool:
        return self._reader.heads == 0

    @property
    def waits_for_client(self) -> bool:
        return self._task is None or self._writable is not None

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
        """Drop the requests in the queue. The request that is being handled still gets its response."""
        self._ended, self._refusal = True, None
        self._reader.queue.clear()

    def _refuse(self, refusal: Refusal) -> None:
        """Make this the last response of the connection."""
        self._ended, self._refusal = True, self._shared.refused(refusal)
        self._reader.stop()

    def _busy(self, reason: str) -> Refusal:
        return Refusal(503, reason, Retry_After=str(BUSY_RETRY_S))

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
            await self._write(octets, self._shared.limits.keep_alive_s)
            if self._stream:
                await self._send(self._stream, chunked=received.chunked)
        if self._refusal:
            # The client may still be sending. A close would reset the connection before it reads the response.
            await self._write(encode(self._refusal, head=False, close=True), self._shared.limits.keep_alive_s)
            self._refusal, self._lingering = None, True
            if self._transport.can_write_eof():  # not with TLS
                with contextlib.suppress(OSError):  # the client has closed the connection
                    self._transport.write_eof()
        self._forget_task()
        self._settle()

    def _forget_task(self) -> None:
        if self._task:
            self._task = None
            self._shared.responded(self)

    async def _handle(self, received: Received) -> bytes:
        """The bytes of the response. An error of the handler is logged without its text, and is 500.

        So is an exception that ends a task without an error, like CancelledError: the connection would stay open.
        """
        try:
            return self._encode(received, await self._shared.handler(received.request))
        except Reset:
            raise
        except BaseException as error:
            if cancels_this_task(error):
                raise
            _log_failure(error)
            return self._encode(received, Response(500, b"the request failed; see the log\n"))

    def _encode(self, received: Received, response: Response | Stream) -> bytes:
        head = received.request.method == "HEAD"
        if isinstance(response, Stream):
            self._end()
            self._stream = None if head else response
            return encode_stream(response, chunked=received.chunked)
        wants_close = any(name.lower() == "connection" for name in response.headers)  # handlers set it only to "close"
        is_old = self._loop.time() >= self._use_until and not self._reader.queue  # the client has sent no more requests
        if wants_close or is_old or self._shared.draining or not received.keep_alive:
            self._end()
        last = self._ended and not self._reader.queue and not self._refusal
        return encode(response, head=head, close=last)

    async def _write(self, octets: bytes, within_s: float) -> bool:
        """Write a response, and wait until the client has read it and those before it. False: the connection ends."""
        if self._transport.is_closing():
            return False
        self._handled = len(octets)
        self._transport.write(octets)
        if self._writable:
            self._count()
            try:
                async with asyncio.timeout(within_s):
                    await self._writable
            except TimeoutError:
                self._transport.abort()
        self._handled = 0
        return not self._transport.is_closing()

    async def _send(self, stream: Stream, *, chunked: bool) -> None:
        """Write the parts of a stream. An error in them is logged, and the client sees that its end is missing."""
        self._shared.streams.add(self)
        try:
            await send_stream(stream, self._write, chunked=chunked)
        except Exception as error:
            _log_failure(error)
            self._transport.abort()

    def _reset(self) -> None:
        if not self._transport.is_closing():
            reset_on_close(self._transport.get_extra_info("socket"))
            self._transport.abort()

    def _settle(self) -> None:
        """Do what the state requires: respond, close, pause reading, or set the timer."""
        self._count()
        transport, reader = self._transport, self._reader
        if transport.is_closing():
            return
        if self._task is None and (reader.queue or self._refusal):
            self._task = self._loop.create_task(self._respond())
            self._shared.tasks.add(self._task)
            self._task.add_done_callback(self._shared.tasks.discard)
        paused = self._task is not None and (self._ended or len(reader.queue) + bool(self._handled) > 1)
        (transport.pause_reading if paused else transport.resume_reading)()
        if self._task is None and self._ended and not self._lingering:
            transport.close()
        elif self._task is None and reader.expects_continue:
            reader.expects_continue = False
            transport.write(CONTINUE)
        self._timer.enter(None if paused else self._awaited())

    def _awaited(self) -> tuple[str, int] | None:
        """What the current time limit applies to, and to which request."""
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

    def _expired(self, what: str) -> None:
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


def _log_failure(error: BaseException) -> None:
    log.error("request failed", extra={"fields": {"error": type(error).__name__, "at": error_location(error)}})
