"""Streams: framing, a client that does not read, errors, and the end of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import pytest

from adapter.serving.messages import Request, Stream
from tests.unit.adapter.serving.served import LIMITS, Streams, connect, run, serving

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
Parts = Callable[[], AsyncGenerator[bytes, None]]


class Streaming:
    """A handler whose responses are streams of ``parts``. ``closed`` is set when one is closed."""

    def __init__(self, parts: Parts, taken_within_s: float = 10) -> None:
        self._parts, self._taken_within_s = parts, taken_within_s
        self.closed = asyncio.Event()

    async def __call__(self, request: Request) -> Stream:
        return Stream(self._watched(), {"Content-Type": "text/plain"}, self._taken_within_s)

    async def _watched(self) -> AsyncGenerator[bytes, None]:
        try:
            async for part in self._parts():
                yield part
        finally:
            self.closed.set()


async def two() -> AsyncGenerator[bytes, None]:
    yield b"a" * 17
    yield b"b"


async def endless() -> AsyncGenerator[bytes, None]:
    yield b"first"
    await asyncio.Event().wait()


async def flood() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x" * 64 * 1024


async def asked(parts: Parts, request: bytes) -> bytes:
    async with serving(Streaming(parts)) as (_, (reader, writer)):
        writer.write(request)
        return await reader.read()


def test_stream_is_chunked_and_ends_its_connection() -> None:
    answer = run(lambda: asked(two, GET))
    assert answer == HEAD + b"11\r\n" + b"a" * 17 + b"\r\n1\r\nb\r\n0\r\n\r\n"


def test_stream_for_http_1_0_ends_with_the_connection_and_is_not_chunked() -> None:
    answer = run(lambda: asked(two, b"GET / HTTP/1.0\r\n\r\n"))
    assert answer == HEAD.replace(b"Transfer-Encoding: chunked\r\n", b"") + b"a" * 17 + b"b"


def test_head_of_a_stream_has_no_body_and_does_not_start_it() -> None:
    async def test() -> None:
        handler = Streaming(two)
        async with serving(handler) as (_, (reader, writer)):
            writer.write(GET.replace(b"GET", b"HEAD"))
            assert await reader.read() == HEAD
        assert not handler.closed.is_set()

    run(test)


def test_request_after_a_stream_is_not_answered() -> None:
    assert run(lambda: asked(two, GET * 2)).count(b"HTTP/1.1 200 OK") == 1


async def begun(streams: Streams) -> None:
    reader, writer = streams
    writer.write(GET)
    assert await reader.readexactly(len(HEAD)) == HEAD
    assert await reader.readexactly(10) == b"5\r\nfirst\r\n"


@pytest.mark.parametrize("method", ["close", "drain"])
def test_server_that_stops_ends_a_stream_at_once(method: str) -> None:
    async def test() -> None:
        handler = Streaming(endless)
        async with serving(handler) as (server, streams):
            await begun(streams)
            await (server.close(within_s=20) if method == "close" else server.drain())
            with contextlib.suppress(ConnectionResetError):
                assert await streams[0].read() == b""  # without the end of a chunked body
            await handler.closed.wait()
            while server._connections.tasks:  # noqa: ASYNC110 -- asyncio forgets a task after its end
                await asyncio.sleep(0)

    run(test)


def test_stream_of_a_client_that_reads_nothing_is_dropped_after_its_time() -> None:
    async def test() -> None:
        handler = Streaming(flood, taken_within_s=0.2)
        async with serving(handler) as (_, (_, writer)):
            writer.write(GET)
            await handler.closed.wait()

    run(test)


def test_stream_holds_only_one_part_for_a_client_that_reads_nothing() -> None:
    async def test() -> None:
        async with serving(Streaming(flood)) as (server, (_, writer)):
            writer.write(GET)
            connections = server._connections
            while connections.size < 64 * 1024:  # noqa: ASYNC110 -- the kernel has no event for a full buffer
                await asyncio.sleep(0)
            assert connections.size < 2 * 64 * 1024
            assert next(iter(connections.opened)).waits_for_client  # so a new connection may take its place

    run(test)


def test_client_that_leaves_ends_its_stream() -> None:
    async def ticking() -> AsyncGenerator[bytes, None]:
        yield b"first"
        while True:
            await asyncio.sleep(0.01)
            yield b"."

    async def test() -> None:
        handler = Streaming(ticking)
        async with serving(handler) as (server, _):
            streams = await connect(server)
            await begun(streams)
            streams[1].transport.abort()
            await handler.closed.wait()

    run(test)


def test_error_in_a_stream_is_logged_and_its_end_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"first"
        raise ValueError("secret")

    async def test() -> None:
        async with serving(Streaming(broken), LIMITS) as (_, streams):
            with contextlib.suppress(ConnectionResetError):
                await begun(streams)
                assert await streams[0].read() == b""

    run(test)
    (record,) = caplog.records
    assert record.getMessage() == "request failed"
    assert "secret" not in str(record.__dict__["fields"])
