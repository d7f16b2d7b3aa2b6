"""One budget for the connections and bytes of a server: who is closed or refused, and who is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from adapter.serving.limits import SMALL_SIZE, Handler, Limits
from adapter.serving.messages import Request, Response
from adapter.serving.server import Server, listen

LIMITS = Limits(head_s=10, body_s=10, keep_alive_s=10, connections=3)
REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def accept(request: Request) -> Response:
    return Response(200, b"ok")


class Clients:
    """Opens connections to one server."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self._server, self._stack = server, stack
        self.writers: list[asyncio.StreamWriter] = []

    async def open(self, octets: bytes = b"", response: bytes = b"") -> asyncio.StreamReader:
        """Send ``octets`` on a new connection, and wait for the end of ``response``."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        self._stack.callback(writer.close)
        self.writers.append(writer)
        writer.write(octets)
        if response:
            await reader.readuntil(response)
        return reader


def run(test: Callable[[Clients], Awaitable[Any]], handler: Handler = accept, limits: Limits = LIMITS) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(30), AsyncExitStack() as stack:
            server = await listen(handler, 0, limits)
            stack.push_async_callback(server.close)
            return await test(Clients(server, stack))

    return asyncio.run(limited())


async def is_open(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 0.05) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET / HT"], ids=["silent", "half-a-head"])
def test_connection_beyond_the_limit_closes_the_oldest_one_without_a_request(sent: bytes) -> None:
    async def test(clients: Clients) -> list[bool]:
        kept = await clients.open(REQUEST, b"ok")
        waiting = [await clients.open(sent), await clients.open(sent)]
        another = await clients.open(REQUEST, b"ok")
        return [await is_open(each) for each in (kept, *waiting, another)]

    assert run(test) == [True, False, True, True]


def test_connection_beyond_the_limit_closes_the_one_that_is_idle_for_longest() -> None:
    async def test(clients: Clients) -> list[bool]:
        idle = [await clients.open(REQUEST, b"ok") for _ in range(3)]
        clients.writers[0].write(REQUEST)
        await idle[0].readuntil(b"ok")
        another = await clients.open(REQUEST, b"ok")
        return [await is_open(each) for each in (*idle, another)]

    assert run(test) == [True, False, True, True]


def test_connection_beyond_the_limit_closes_one_whose_client_reads_no_responses() -> None:
    async def large(request: Request) -> Response:
        return Response(200, b"ok" if request.path == "/" else b"a" * 16 * 1024 * 1024)

    async def test(clients: Clients) -> None:
        for _ in range(3):
            await clients.open(REQUEST.replace(b"/ ", b"/large "), b"Content-Length: 16777216\r\n\r\n")
        await clients.open(REQUEST, b"ok")

    run(test, large)


def test_connection_beyond_the_limit_is_503_while_all_others_wait_for_their_response() -> None:
    release, began = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(request: Request) -> Response:
        began.release()
        await release.wait()
        return await accept(request)

    async def test(clients: Clients) -> None:
        waiting = [await clients.open(REQUEST) for _ in range(3)]
        for _ in waiting:
            await began.acquire()
        refused = [await (await clients.open()).read() for _ in range(3)]
        assert [each.partition(b"\r\n")[0] for each in refused] == [b"HTTP/1.1 503 Service Unavailable"] * 3
        release.set()
        for each in waiting:
            await each.readuntil(b"ok")

    run(test, slow)


def test_small_request_is_served_and_a_large_one_is_503_while_the_budget_is_used_up() -> None:
    async def test(clients: Clients) -> bytes:
        held = [await clients.open(REQUEST[:-2] + b"X: " + b"a" * 10_000) for _ in range(2)]
        await clients.open(REQUEST, b"ok")
        refused = await (await clients.open(REQUEST[:-2] + b"X: " + b"a" * SMALL_SIZE + b"\r\n\r\n")).read()
        assert [await is_open(each) for each in held] == [True, True]
        return bytes(refused)

    limits = replace(LIMITS, connections=4, total_size=20_000)
    assert run(test, limits=limits).startswith(b"HTTP/1.1 503 ")


def test_pipelined_requests_beyond_the_budget_are_one_503() -> None:
    """Each of these requests has few bytes, but its 200 headers are many objects."""
    handled = []

    async def count(request: Request) -> Response:
        handled.append(request)
        return await accept(request)

    async def test(clients: Clients) -> bytes:
        return bytes(await (await clients.open((REQUEST[:-2] + b"a:\r\n" * 200 + b"\r\n") * 16)).read())

    response = run(test, count, replace(LIMITS, total_size=400_000))
    assert (response.startswith(b"HTTP/1.1 503 "), response.count(b"HTTP/1.1"), handled) == (True, 1, [])


def test_response_that_no_client_reads_counts_against_the_budget() -> None:
    async def large(request: Request) -> Response:
        return Response(200, b"a" * (0 if request.method == "POST" else 16 * 1024 * 1024))

    async def test(clients: Clients) -> bytes:
        await clients.open(REQUEST, b"Content-Length: 16777216\r\n\r\n")
        return bytes(await (await clients.open(b"POST / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * SMALL_SIZE)).read())

    assert run(test, large, replace(LIMITS, total_size=1024 * 1024)).startswith(b"HTTP/1.1 503 ")
