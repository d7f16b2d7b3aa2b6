"""One HTTP/1.1 connection to a sink: it carries one request at a time, and llhttp parses the responses.

It is not used again if the sink closes it, sends octets without a request, or leaves a response unfinished.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httptools

from adapter.contract.timeouts import Timeouts

HEAD_LIMIT = 64 * 1024  # bytes of the head of a response
BODY_LIMIT = 64 * 1024  # bytes read of a response's body, so that its connection can be used again
KEPT_BODY = 4096  # bytes of them kept for the dead letter sink
CLOSED = "connection closed by the sink"
ALWAYS_TAKEN = 16 * 1024  # bytes of a request that a host takes although its program reads nothing


OnHead = Callable[[int, str | None], None]  # gets the status and the header Retry-After


class NoResponse(Exception):
    """The request has no response. ``code`` and ``reason`` are those of the attempt; they quote no bytes of the sink.

    ``unprocessed``: the sink has not processed the request, so it can be sent again at once.
    """

    def __init__(self, reason: str, code: str = "transport", *, unprocessed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.unprocessed = unprocessed


@dataclass(frozen=True)
class Response:
    """``retry_after``: the header; ``body``: its beginning."""

    status: int
    retry_after: str | None
    body: bytes


def os_text(error: Exception | None, otherwise: str) -> str:
    """The text of the operating system for the number of ``error``."""
    if isinstance(error, ssl.SSLError):  # its number is not one of the operating system
        return f"TLS error: {error.reason.lower().replace('_', ' ')}" if error.reason else "TLS error"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    numbers = set(
        re.findall(r"\[Errno (\d+)\]", str(error))
    )  # asyncio puts the errors of several addresses into one text
    return os.strerror(int(numbers.pop())).lower() if len(numbers) == 1 else otherwise


class Connection(asyncio.Protocol):
    """Call ``exchange()`` again only if ``is_silent()``. ``kept_body``: how many bytes of a body a response has."""

    _transport: asyncio.Transport
    _tcp: asyncio.Transport  # below TLS, or the same
    _head: asyncio.Future[None]  # done: status and headers of the response have arrived, or the time is over
    _end: asyncio.Future[None]  # done: nothing more is read

    def __init__(self, kept_body: int = KEPT_BODY) -> None:
        self.is_reusable = False
        self.use_until = math.inf  # on the loop's clock; no request begins later
        self._kept_body = kept_body
        self._requests = 0
        self._limit_ms = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # as most clients; an accepted event must not be sent again
            lenient_headers=True,  # control characters and folded lines
            lenient_chunked_length=True,  # Content-Length beside Transfer-Encoding
            lenient_keep_alive=True,  # a response after an interim one with "Connection: close"
            lenient_optional_cr_before_lf=True,
        )

    async def exchange(
        self, request: bytes, until: float, timeouts: Timeouts, on_head: OnHead = lambda status, retry_after: None
    ) -> Response:
        """Send a whole request. ``until`` is on the loop's clock. ``on_head`` is called before a wait for the body.

        Raises ``NoResponse``, or ``TimeoutError`` if the head has not arrived.
        """
        loop = asyncio.get_running_loop()
        self.is_reusable = False
        if self._transport.is_closing():  # since it was made or taken
            raise NoResponse(f"no response: {CLOSED}", unprocessed=True)
        self._head, self._end = loop.create_future(), loop.create_future()
        self._requests += 1
        self._received, self._status, self._size = 0, 0, 0
        self._retry_after: str | None = None
        self._body = b""
        try:
            self._limit_unacknowledged(len(request), timeouts.unacknowledged_s)
            self._transport.write(request)
            timer = loop.call_at(until, self._time_out)  # asyncio.timeout_at() costs twice as much
            try:
                await self._head
            finally:
                timer.cancel()
            if not self._status:
                raise TimeoutError
            if not self._end.done():
                on_head(self._status, self._retry_after)
                await asyncio.wait([self._end], timeout=min(until - loop.time(), timeouts.response_body_s))
            return Response(self._status, self._retry_after, self._body)
        finally:
            if not self.is_reusable:
                self.close()

    def is_silent(self) -> bool:
        """Whether it can be used again. False if the sink has sent octets since its last response, or has closed it.

        Asks the kernel, too: the event loop may not have read these octets yet. They must not answer the next request.
        """
        return self.is_reusable and not self._arrivals.poll(0)

    def close(self) -> None:
        """Close without the closing handshake of TLS, because nothing more is sent or read."""
        self.is_reusable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called again with the transport of TLS."""
        assert isinstance(transport, asyncio.Transport)
        if not hasattr(self, "_tcp"):
            self._tcp = transport
            self._arrivals = select.poll()
            self._arrivals.register(transport.get_extra_info("socket"), select.POLLIN)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._requests or self._end.done():
            return self.close()
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._finish(NoResponse(f"invalid HTTP response: {type(error).__name__}"))
        if self._received > HEAD_LIMIT and not self._head.done():
            self._finish(NoResponse(f"invalid HTTP response: a head of more than {HEAD_LIMIT} bytes"))

    def connection_lost(self, error: Exception | None) -> None:
        self.is_reusable = False
        if self._requests:
            # A kept connection was probably closed while it was idle. If not, the event arrives twice with the same id.
            unprocessed = self._requests > 1 and not self._received
            self._finish(NoResponse(f"no response: {os_text(error, CLOSED)}", unprocessed=unprocessed))
        del self._parser  # it refers to this connection

    def _finish(self, error: NoResponse) -> None:
        """The connection has ended. This is an error only if the head of a response is missing."""
        if not self._head.done():
            self._head.set_exception(error)
        if not self._end.done():
            self._end.set_result(None)
        self.close()

    def _time_out(self) -> None:
        if not self._head.done():
            self._head.set_result(None)  # an exception would refer to this connection, which would be freed late

    def _limit_unacknowledged(self, size: int, limit_s: float) -> None:
        """Let the connection fail if the host of the sink has vanished. It does not limit the time of a response.

        A host whose program does not read looks the same once its buffers are full, so a large request has no limit.
        """
        limit_ms = round(limit_s * 1000) if size <= ALWAYS_TAKEN else 0
        if limit_ms != self._limit_ms and hasattr(socket, "TCP_USER_TIMEOUT"):
            self._limit_ms = limit_ms
            self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)

    def _is_sent(self) -> bool:
        """Whether the kernel has the whole request. A sink may respond earlier, and then not read the rest."""
        return not self._transport.get_write_buffer_size() and not self._tcp.get_write_buffer_size()

    # The parser calls these methods.

    def on_message_begin(self) -> None:
        if self._end.done():
            self.is_reusable = False  # a second response without a request
        else:
            self._retry_after = None  # of an interim response
            self._lengths = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head.done():
            return  # a trailer
        name = name.lower()
        if name == b"retry-after":
            self._retry_after = value.decode("latin-1")
        elif name in (b"content-length", b"transfer-encoding"):
            self._lengths += 1

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100 or status == 101:  # nobody asked for another protocol
            raise ValueError  # makes the response invalid for the parser
        if not self._head.done() and status >= 200:  # others are interim responses
            self._status = status
            self._head.set_result(None)

    def on_body(self, data: bytes) -> None:
        if self._end.done():
            return
        self._size += len(data)
        self._body += data[: self._kept_body - len(self._body)]
        if self._size > BODY_LIMIT:
            self._end.set_result(None)

    def on_message_complete(self) -> None:
        if self._head.done() and not self._end.done():
            self.is_reusable = self._parser.should_keep_alive() and self._lengths <= 1 and self._is_sent()
            self._end.set_result(None)
