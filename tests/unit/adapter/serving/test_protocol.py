"""Time limits of connections, on real sockets of one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from adapter.serving.protocol import serving
from tests.process.harness import free_port

PYPROJECT = Path(__file__).resolve().parents[4] / "pyproject.toml"
REQUEST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
RESPONSE = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"


async def accept(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def serve(port: int, head_s: float) -> contextlib.AbstractAsyncContextManager[Any]:
    return serving(accept, port, head_s=head_s, keep_alive_s=75, responses_s=2)


@pytest.mark.parametrize("before", [0, 1, 3], ids=["first", "second", "fourth"])
def test_each_request_head_has_its_own_time_limit(before: int) -> None:
    async def test() -> None:
        port = free_port()
        async with asyncio.timeout(10), serve(port, head_s=0.2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(before):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
            ended = asyncio.create_task(reader.read())
            for octet in REQUEST * 100:
                writer.write(bytes([octet]))
                if (await asyncio.wait({ended}, timeout=0.02))[0]:
                    break
            with contextlib.suppress(ConnectionResetError):  # the client was still sending
                assert await ended == b""
            writer.close()

    asyncio.run(test())


def test_connection_stays_open_between_requests_for_longer_than_a_head_may_take() -> None:
    async def test() -> None:
        port = free_port()
        async with asyncio.timeout(10), serve(port, head_s=0.05):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(REQUEST)
                assert await reader.readexactly(len(RESPONSE)) == RESPONSE
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.2)  # four times the limit of a head
            writer.close()

    asyncio.run(test())


def test_installed_uvicorn_is_a_version_that_was_tested() -> None:
    """uvicorn may change its internals in any version. Before 0.53, draining did not send ``Connection: close``."""
    dependencies = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    (uvicorn,) = [wanted for wanted in map(Requirement, dependencies) if wanted.name == "uvicorn"]
    assert any(bound.operator == "<" for bound in uvicorn.specifier), "limit uvicorn in pyproject.toml, as in <0.55"
    version = importlib.metadata.version("uvicorn")
    assert uvicorn.specifier.contains(version), (
        f"uvicorn {version} was not tested with adapter/serving/protocol.py, which uses its internals: run "
        f"tests/unit/adapter/serving and tests/process/test_webhook*.py with it, and if they pass, change "
        f'"uvicorn{uvicorn.specifier}" in pyproject.toml'
    )
