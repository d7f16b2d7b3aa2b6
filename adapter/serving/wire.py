"""Requests from bytes, within limits, and bytes from responses: HTTP/1.1, parsed by httptools. It uses no socket."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import httptools

from adapter.serving.messages import Refusal, Request, Response, Stream

READ_SIZE = 64 * 1024  # most bytes of one call of RequestReader.feed()
HEADERS_LIMIT = 256  # headers of one request
HEADER_COST, REQUEST_COST = 256, 1024  # bytes of Python's objects, in addition to those of the text
QUEUE_LIMIT = 16  # requests of one connection that wait for the response to an earlier one
BUSY_RETRY_S = 1  # Retry-After of a response while this process is busy or stopping
Write = Callable[[bytes, float], Awaitable[bool]]  # octets, seconds until the client has taken them; False: no more
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CheckHead = Callable[[Sequence[tuple[bytes, bytes]]], None]  # of headers, with names in lower case
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_NOT_IN_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Received:
    """A complete request."""

    request: Request
    size: int  # bytes, with its objects
    keep_alive: bool  # False: the client sends no further request on this connection
    chunked: bool  # the client can read a chunked response: it speaks HTTP/1.1


class RequestReader:
    """Parses the requests of one connection and puts them into ``queue``, each with its whole body.

    Invalid bytes and requests beyond a limit raise :class:`Refusal`. httptools calls the ``on_...`` methods.
    ``check_head`` may raise it, too: then no byte of the body is kept. ``body_sizes``: path -> its own ``body_size``.
    """

    def __init__(
        self,
        head_size: int,
        body_size: int,
        check_head: CheckHead | None = None,
        body_sizes: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self.queue: deque[Received] = deque()
        self.heads = 0  # complete request heads so far
        self.ended = False  # the client sends no further request
        self.expects_continue = False  # the client waits for 100 before it sends the body
        self._head_size, self._check_head = head_size, check_head
        self._default_body_size, self._body_sizes = body_size, body_sizes
        self._parser = httptools.HttpRequestParser(self)
        self._stopped = False
        self._arrived = 0  # bytes of the current call of feed()
        self._clear()

    def _clear(self) -> None:
        """Forget the request that is incomplete."""
        self._begun = self._in_body = self.expects_continue = False
        self._overhead = 0  # at most so many bytes arrived since the head began, or since the last byte of the body
        self._size = 0  # bytes of the whole head, with its objects
        self._url, self._path, self._query = b"", "/", ""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self._body_size = self._default_body_size  # most bytes of this body

    @property
    def reading(self) -> str | None:
        """``head`` or ``body`` of an incomplete request, else None."""
        return ("body" if self._in_body else "head") if self._begun else None

    @property
    def size(self) -> int:
        """About so many bytes are in memory of the incomplete request."""
        head = self._size or len(self._headers) * HEADER_COST
        return self._overhead + head + len(self._body)

    def feed(self, data: bytes | memoryview) -> None:
        """Parse at most ``READ_SIZE`` bytes. After a :class:`Refusal`, feed no more."""
        self._arrived = len(data)
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._decline_upgrade(bytes(data[upgrade.args[0] :]))
        except httptools.HttpParserError as error:
            if self.ended:
                return  # bytes after the last request
            refusal = error.__context__
            raise refusal if isinstance(refusal, Refusal) else Refusal(400, "not an HTTP/1.1 request") from None
        if self._overhead > self._head_size + READ_SIZE:
            raise self._head_too_long()

    def stop(self) -> None:
        """Forget the incomplete request, and the parser with what it holds of it; feed no more."""
        self._clear()
        if not self._stopped:
            self._stopped = True
            del self._parser  # it refers to this reader

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header (RFC 9110 section 7.8): the parser skipped its body."""
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        if method == b"CONNECT":
            raise Refusal(405, "CONNECT is not supported")
        kept = [b"%s: %s\r\n" % header for header in self._headers if header[0] != b"upgrade"]
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self._url, version, b"".join(kept))
        self._parser = httptools.HttpRequestParser(self)
        self.feed(head + rest)

    def on_message_begin(self) -> None:
        if len(self.queue) >= QUEUE_LIMIT:
            raise Refusal(503, "too many requests at once on one connection", Retry_After=str(BUSY_RETRY_S))
        self._clear()
        self._begun = True
        self._overhead = self._arrived

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer
        self._headers.append((name.lower(), value))
        if len(self._headers) > HEADERS_LIMIT:
            raise Refusal(431, f"the request has more than {HEADERS_LIMIT} headers")

    def on_headers_complete(self) -> None:
        self._overhead, size, hosts, length = 0, len(self._url), 0, 0
        for name, value in self._headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
                raise Refusal(501, "the only supported transfer coding is chunked")
            elif name == b"expect":
                self.expects_continue = value.lower() == b"100-continue" and self._parser.get_http_version() == "1.1"
        if size > self._head_size:
            raise self._head_too_long()
        if self._check_head:
            self._check_head(self._headers)
        if self._parser.should_upgrade():
            return
        url = httptools.parse_url(self._url)
        self._path, self._query = (url.path or b"/").decode("latin-1"), (url.query or b"").decode("latin-1")
        self._body_size = self._body_sizes.get(self._path, self._default_body_size)
        if length > self._body_size:
            raise self._body_too_long()
        if hosts != 1 and self._parser.get_http_version() == "1.1":
            raise Refusal(400, f"the request has {hosts} Host headers; it must have one")
        self.heads += 1
        self._in_body, self._size = True, size + REQUEST_COST + len(self._headers) * HEADER_COST

    def on_body(self, part: bytes) -> None:
        self._overhead = 0
        self.expects_continue = False
        self._body += part
        if len(self._body) > self._body_size:
            raise self._body_too_long()

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            return
        request = Request(
            parser.get_method().decode("ascii"),
            self._path,
            {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers},
            bytes(self._body),
            self._query,
        )
        chunked = parser.get_http_version() == "1.1"
        keep_alive = parser.should_keep_alive() and chunked
        self.queue.append(Received(request, self._size + len(self._body), keep_alive, chunked))
        self.ended = not keep_alive
        self._clear()

    def _head_too_long(self) -> Refusal:
        return Refusal(431, f"the request head is longer than {self._head_size} bytes")

    def _body_too_long(self) -> Refusal:
        return Refusal(413, f"the body is longer than {self._body_size} bytes")


def encode(response: Response, *, head: bool, close: bool) -> bytes:
    """The bytes of a response; ``ValueError`` if a header cannot be sent.

    ``head``: without its body. ``close``: it is the last one of its connection; only this sets the header Connection.
    """
    framing = [] if response.status == 204 else [f"Content-Length: {len(response.body)}"]
    body = b"" if head or response.status in (204, 304) else response.body
    return encode_head(response.status, response.headers, [*framing, *["Connection: close"] * close]) + body


def encode_head(status: int, headers: Mapping[str, str], framing: Sequence[str]) -> bytes:
    """``framing``: the headers that only the server sets. ``ValueError`` if a header cannot be sent."""
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "connection"]
    lines += framing
    if _NOT_IN_A_HEADER.search("".join(lines)):
        raise ValueError("a response header contains a control character")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def encode_stream(stream: Stream, *, chunked: bool) -> bytes:
    """The head of a stream. Without ``chunked``, the end of the connection is the end of the body."""
    return encode_head(200, stream.headers, [*["Transfer-Encoding: chunked"] * chunked, "Connection: close"])


async def send_stream(stream: Stream, write: Write, *, chunked: bool) -> None:
    """Write the parts of a stream, and the end of the body if the client has taken them all."""
    async with aclosing(stream.parts) as parts:
        async for part in parts:
            if not await write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part, stream.taken_within_s):
                return
    if chunked:
        await write(b"0\r\n\r\n", stream.taken_within_s)
