"""The sink of a soak run. It counts events, keeps none, and fails in the ways that sinks fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum


class Mode(StrEnum):
    """What the sink does with each request."""

    ACCEPTS = "accepts"
    FAILS = "fails"  # 503
    BUSY = "busy"  # 503, try again in ten minutes
    SILENT = "silent"  # no answer
    CLOSES = "closes"  # accepts and closes the connection
    RESETS = "resets"  # aborts the connection
    AWAY = "away"  # nothing listens


ANSWERS = {
    Mode.ACCEPTS: b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    Mode.CLOSES: b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    Mode.FAILS: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    Mode.BUSY: b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n",
}


class Sink:
    """``accepted``: the number of events with a 2xx answer, by the first part of the path."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.port = 0
        self.mode = Mode.ACCEPTS
        self._open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def set(self, mode: Mode) -> None:
        """Connections from the time before are reset if the sink goes away, or if it was silent."""
        if mode is Mode.AWAY and self._server:
            self._server.close()
            self._server = None
        elif mode is not Mode.AWAY and not self._server:
            await self.start()
        if mode is Mode.AWAY or self.mode is Mode.SILENT:
            for transport in list(self._open):
                transport.abort()
        self.mode = mode

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)

    def answer(self, transport: asyncio.Transport, path: str) -> None:
        self.accepted[path.split("/")[1]] += self.mode in (Mode.ACCEPTS, Mode.CLOSES)
        if answer := ANSWERS.get(self.mode):
            transport.write(answer)
        if self.mode is Mode.CLOSES:
            transport.close()
        elif self.mode is Mode.RESETS:
            transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.opened(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._sink.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            whole = end + 4 + int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._sink.answer(self._transport, head.split()[1].decode())
