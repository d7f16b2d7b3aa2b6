"""A server on a loopback port, and a client of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from adapter.serving.limits import Handler, Limits
from adapter.serving.messages import Request, Response
from adapter.serving.server import Server, listen

LIMITS = Limits(head_s=10, body_s=10, keep_alive_s=10)
REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\n\r\n"
RESPONSE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\n\r\n/"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def accept(request: Request) -> Response:
    return Response(202, request.path.encode(), {})


class Slow:
    """A handler that waits for ``release``, for each path in ``paths``."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.began, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        self.began.set()
        if request.path in self.paths:
            await self.release.wait()
        return await accept(request)


@contextlib.asynccontextmanager
async def serving(handler: Handler = accept, limits: Limits = LIMITS) -> AsyncIterator[tuple[Server, Streams]]:
    server = await listen(handler, 0, limits)
    streams = await connect(server)
    try:
        yield server, streams
    finally:
        streams[1].close()
        await server.close()


async def connect(server: Server) -> Streams:
    return await asyncio.open_connection("127.0.0.1", server.port)


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    async def limited() -> Any:
        async with asyncio.timeout(30):
            return await test()

    return asyncio.run(limited())
