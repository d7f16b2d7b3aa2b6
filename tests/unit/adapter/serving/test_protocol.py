"""How long a connection may take for a head, at the real sockets of one loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from adapter.serving import protocol as listening
from tests.process.harness import free_port

REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


async def accept(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("before", [0, 1, 3], ids=["first", "second", "fourth"])
def test_each_head_of_a_connection_has_its_own_time(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_S", 0.2)

    async def test() -> None:
        port = free_port()
        async with asyncio.timeout(10), listening.serving(accept, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(before):
                writer.write(REQUEST)
                assert await reader.readexactly(len(ANSWER)) == ANSWER
            ended = asyncio.create_task(reader.read())
            for octet in REQUEST * 100:
                writer.write(bytes([octet]))
                if (await asyncio.wait({ended}, timeout=0.02))[0]:
                    break
            with contextlib.suppress(ConnectionResetError):  # it was still being sent
                assert await ended == b""
            writer.close()

    asyncio.run(test())


def test_between_requests_a_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HEAD_S", 0.05)

    async def test() -> None:
        port = free_port()
        async with asyncio.timeout(10), listening.serving(accept, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(REQUEST)
                assert await reader.readexactly(len(ANSWER)) == ANSWER
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.2)  # four times what a head may take
            writer.close()

    asyncio.run(test())
