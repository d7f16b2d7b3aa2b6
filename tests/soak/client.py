"""An HTTP client of a soak run: one connection, which is replaced from time to time."""

from __future__ import annotations

import asyncio

from tests.deadline import DEADLINE_S

REQUESTS = 50  # of one connection


class Client:
    def __init__(self, port: int) -> None:
        self._port = port
        self._requests = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes = b"", token: str = "") -> tuple[int, bytes]:
        """Status and body. ``AssertionError`` if there is no answer; it must have ``Content-Length``."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._exchange(method, path, body, token)
        except asyncio.CancelledError:
            await self.close()  # a later request would read the answer to this one
            raise
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise AssertionError(f"no answer to {method} {path} at port {self._port}: {error!r}") from None

    async def _exchange(self, method: str, path: str, body: bytes, token: str) -> tuple[int, bytes]:
        if self._requests % REQUESTS == 0:
            await self.close()
        self._requests += 1
        if not self._streams:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        answer = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            await self.close()
        return int(status.split()[1]), answer

    async def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None
