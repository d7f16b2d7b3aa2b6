"""Bytes at the port of a WebhookSource: no internal error, and the same requests in whatever pieces they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from functools import cache

from hypothesis import strategies as st

from adapter.cloudevents.encode import encode
from adapter.listening.listener import RequestHandler
from adapter.sdk import Context, Event, Outcome, Refusal
from adapter.serving.messages import Request
from adapter.serving.wire import READ_SIZE, RequestReader
from adapter.sources.webhook_source import WebhookSource
from adapter.testing import VirtualClock
from adapter.testing.clock import START
from tests.deadline import DEADLINE_S
from tests.fuzz.engine import Target
from tests.process.harness import free_port
from tests.property.specs import documents

END_S = DEADLINE_S  # until the server closes the connection after the last byte
SOURCE = WebhookSource.model_validate({"allowedOrigins": ["*"], "eventTypeHeader": "X-Event"})


class Errors(logging.Handler):
    """The errors that the listener logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(f"{record.getMessage()} {getattr(record, 'fields', '')}")


class Port:
    """A listener, and a connection to it for each input. The sink accepts each event that can be encoded."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.errors = Errors()
        log = logging.getLogger("adapter")
        log.addHandler(self.errors)
        self.port = free_port()
        context = Context("/s", "uid", START, VirtualClock(), log, send=self._send, port=self.port)
        self.serving = RequestHandler(SOURCE, context).serving()  # kept: without a reference, it would end
        self.loop.run_until_complete(self.serving.__aenter__())

    async def _send(self, event: Event, *, timeout_s: float) -> Outcome:
        try:
            encode(event, source="/s", namespace="ns", overrides={})
        except ValueError:
            return Outcome.REJECTED
        return Outcome.DELIVERED

    async def exchange(self, pieces: list[bytes]) -> bytes:
        async with asyncio.timeout(END_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0)
                with contextlib.suppress(OSError):  # the server has closed the connection
                    writer.write_eof()
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()


@cache
def port() -> Port:
    return Port()


def pieces_of(data: bytes) -> list[bytes]:
    """At most eight pieces; the first byte says where they end."""
    step = max(1, data[:1][0] * 7 if data else 1, len(data) // 8)
    return [data[at : at + step] for at in range(0, len(data), step)]


def read(pieces: list[bytes]) -> tuple[list[object], str]:
    """What a connection would handle: the requests, and the text of the refusal after them."""
    reader, problem = RequestReader(64 * 1024, 1024 * 1024), ""
    try:
        for piece in pieces:
            reader.feed(piece)
            if reader.ended:
                break
    except Refusal as refusal:
        problem = str(refusal)
    return [received.request for received in reader.queue], problem


def assert_headers_are_in_the_head(data: bytes) -> None:
    """Of the first request: a trailer, which no proxy checks, must not become a header (RFC 9110 section 6.5)."""
    requests, _ = read([data])
    head = data.lstrip(b"\r\n").partition(b"\r\n\r\n")[0]
    if requests and not re.search(rb"\n[ \t]", head):  # a folded value is joined
        assert isinstance(requests[0], Request)
        for name, value in requests[0].headers.items():
            assert re.search(
                rb"(?i:\n%s):[ \t]*%s" % (re.escape(name.encode("latin-1")), re.escape(value.encode("latin-1"))), head
            ), name


def check(data: bytes) -> None:
    assert len(data) <= READ_SIZE
    assert read(pieces_of(data)) == read([data])
    assert_headers_are_in_the_head(data)
    server = port()
    answer = server.loop.run_until_complete(server.exchange(pieces_of(data)))
    errors, server.errors.records = server.errors.records, []
    assert not errors, errors
    # 501: RFC 9112 section 6.1 for an unknown transfer coding
    assert not answer or re.match(rb"HTTP/1\.1 ([1-4]\d\d|501|503) ", answer), answer[:100]


NAMES = (
    "Host Content-Length Transfer-Encoding Expect Upgrade Connection Content-Type Content-Encoding X-Event "
    "ce-id ce-time ce-specversion ce-source ce-type WebHook-Request-Origin"
)
header_names = st.sampled_from(NAMES.split())
header_values = st.sampled_from(
    "h|0|5|1, 1|-1|chunked|gzip, chunked|100-continue|websocket|close|upgrade|1.0|application/cloudevents+json|"
    f"application/json|identity|\x00|é|{'a' * 9000}".split("|")
)
bodies = st.sampled_from([b"", b"5\r\nhello\r\n0\r\n\r\n", b"0\r\nce-id: 1\r\n\r\n", b"fffffffff\r\n"]) | documents.map(
    lambda value: json.dumps(value).encode()
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "OPTIONS", "CONNECT", "PUT", "post"]))
    path = draw(st.sampled_from(["/", "/", "/x", "*", "//", "/%00", "/?a=%zz", "http://h/", "http://[", "h:80"]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0", "2.0", "9.9"]))
    body = draw(bodies)
    headers = [("Host", "h"), ("Content-Length", str(len(body)))] if draw(st.booleans()) else []
    headers += draw(st.lists(st.tuples(header_names, header_values), max_size=6))
    lines = [f"{method} {path} HTTP/{version}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


TARGET = Target(
    "webhook",
    check,
    st.lists(requests(), min_size=1, max_size=4).map(b"".join),
    (
        b"\r\n\r\n",
        b"\r\n ",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\n",
        b"0\r\n\r\n",
        b"POST / HTTP/1.1\r\n",
    ),
)
