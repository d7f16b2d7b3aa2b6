"""A proxy on a real socket of this machine that answers CONNECT with scripted octets or opens a tunnel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from adapter.contract.egress import Egress
from adapter.contract.proxies import Proxies
from tests.unit.adapter.delivery.loopback import Answer

TUNNEL = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 fake\r\n\r\n"


class FakeProxy:
    """``answer``: to each CONNECT; None: a tunnel to ``port`` of this machine. ``heads``: the CONNECT requests."""

    def __init__(self, port: int = 0, answer: Answer | None = None) -> None:
        self.heads: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self._port = port
        self._answer = answer
        self._tasks: set[asyncio.Task[None] | None] = set()

    def egress(self, credentials: str = "", **restrictions: object) -> Egress:
        """All requests go through this proxy, unless their host is internal or in NO_PROXY."""
        url = f"http://{credentials}{self.name}"
        return Egress(proxies=Proxies.of(url, url, "direct.example.com", "cluster.local"), **restrictions)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FakeProxy]:
        async with await asyncio.start_server(self._serve, sock=self.socket):
            yield self
            for task in filter(None, self._tasks):
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            if callable(self._answer):
                await self._answer(reader, writer)
            elif self._answer is not None:
                writer.write(self._answer)
            else:
                await self._pass_on(reader, writer)
            await reader.read()
        writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sink_reader, sink_writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(TUNNEL)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, sink_writer))
                group.create_task(_copy(sink_reader, writer))
        finally:
            sink_writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(64 * 1024):
        writer.write(data)
    writer.close()
