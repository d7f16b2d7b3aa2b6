"""TLS handshakes of the hook: their time limit, their place among the connections, and how refusals are counted."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapter.serving.limits import TOO_MUCH
from adapter.serving.logs import LogThrottle
from adapter.serving.messages import Refusal
from adapter.serving.sockets import listening_socket
from adapter.testing.clock import VirtualClock
from hooks.app import create_app
from hooks.serving.credentials import Credentials
from hooks.serving.metrics import HookMetrics
from hooks.serving.refusals import Refusals
from hooks.serving.server import limits, make_server
from hooks.settings import Settings
from tests.logbook import Logbook
from tests.mounts import mount

CA = trustme.CA()
REQUEST = b"GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01"  # its first bytes
Address = tuple[str, int]


def server_settings(directory: Path) -> Settings:
    issued = CA.issue_cert("127.0.0.1")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    mount(directory, {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()})
    return Settings(adapter_image="a:1", tls_dir=directory)


@asynccontextmanager
async def serving(settings: Settings, refusals: Refusals, **changes: Any) -> AsyncIterator[Address]:
    """``changes``: other limits."""
    listening = listening_socket("127.0.0.1", 0)
    limited = replace(limits(settings), **changes)
    server = make_server(create_app(settings), limited, refusals, Credentials(settings), log_level="info")
    running = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()
    finally:
        server.should_exit = True
        await running


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(limited())


def new_refusals() -> tuple[Refusals, Logbook]:
    book = Logbook()
    return Refusals(LogThrottle(book.log, VirtualClock().now), 65536, HookMetrics(tuple)), book


async def answer(address: Address) -> bytes:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    writer.write(REQUEST)
    line = await reader.readline()
    writer.close()
    return line


@pytest.mark.parametrize("sent", [b"", CLIENT_HELLO], ids=["silent", "begun"])
def test_handshake_that_takes_too_long_is_closed_and_counted(tmp_path: Path, sent: bytes) -> None:
    refusals, book = new_refusals()

    async def test() -> None:
        async with serving(server_settings(tmp_path), refusals, head_s=0.1) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(sent)
            with contextlib.suppress(ConnectionError):  # reset, if bytes were not read
                assert await reader.read() == b""
            writer.close()

    run(test)
    assert refusals.metrics.refused()["tls"] == 1
    assert book.lines[0]["reason"] == "the TLS handshake failed: it took longer than 0.1 s"


def test_new_connection_takes_the_place_of_the_oldest_handshake(tmp_path: Path) -> None:
    refusals, book = new_refusals()

    async def test() -> None:
        async with serving(server_settings(tmp_path), refusals, connections=2) as address:
            silent = [await asyncio.open_connection(*address) for _ in range(3)]
            assert await silent[0][0].read() == b""
            assert await answer(address) == b"HTTP/1.1 200 OK\r\n"
            assert await silent[1][0].read() == b""
            for _, writer in silent:
                writer.close()

    run(test)
    assert (refusals.metrics.refused()["tls"], book.lines) == (0, [])


def test_client_that_closes_during_the_handshake_is_not_counted(tmp_path: Path) -> None:
    refusals, book = new_refusals()

    async def test() -> None:
        async with serving(server_settings(tmp_path), refusals) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(CLIENT_HELLO)
            writer.close()
            assert await answer(address) == b"HTTP/1.1 200 OK\r\n"

    run(test)
    assert (refusals.metrics.refused()["tls"], book.lines) == (0, [])


def test_response_larger_than_the_buffers_arrives_whole(tmp_path: Path) -> None:
    refusals, _ = new_refusals()

    async def test() -> None:
        async with serving(server_settings(tmp_path), refusals) as address:
            context = ssl.create_default_context()
            CA.configure_trust(context)
            reader, writer = await asyncio.open_connection(*address, ssl=context)
            writer.write(REQUEST * 16)
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line.split()[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
            await reader.readexactly(15 * (len(head) + size) + size)
            writer.close()

    run(test)


@pytest.mark.parametrize(
    ("refusal", "reason", "logged"),
    [
        pytest.param(Refusal(401, "a token is needed"), "token", True, id="token"),
        pytest.param(Refusal(403, "a client certificate is needed"), "client_certificate", True, id="certificate"),
        pytest.param(Refusal(408, "slow"), "slow", False, id="slow"),
        pytest.param(Refusal(413, "long"), "too_large", True, id="body"),
        pytest.param(Refusal(431, "long"), "head_too_large", False, id="head"),
        pytest.param(Refusal(503, TOO_MUCH), "busy", True, id="memory"),
        pytest.param(Refusal(503, "too many connections"), "busy", False, id="connections"),
        pytest.param(Refusal(400, "not an HTTP/1.1 request"), "malformed", False, id="malformed"),
        pytest.param(Refusal(501, "the only supported transfer coding is chunked"), "malformed", False, id="coding"),
    ],
)
def test_refused_request_is_counted_by_reason(refusal: Refusal, reason: str, logged: bool) -> None:
    refusals, book = new_refusals()
    assert refusals.unread(refusal).status == refusal.status
    assert {name: count for name, count in refusals.metrics.refused().items() if count} == {reason: 1}
    assert [line["reason"] for line in book.lines] == ([str(refusal)] if logged else [])
