"""The small HTTP server on a real socket: the bytes that it accepts and sends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from adapter.serving.connection import Reset
from adapter.serving.health import health, serve_pages
from adapter.serving.limits import Handler, Limits
from adapter.serving.messages import Request, Response
from adapter.serving.server import listen
from tests.deadline import DEADLINE_S

LIMITS = Limits(head_s=10, body_s=10, keep_alive_s=10)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: Request) -> Response:
    if request.path == "/reset":
        raise Reset
    return Response(200, request.method.encode() + b" " + request.path.encode() + b" " + request.body)


@contextlib.asynccontextmanager
async def connection(handler: Handler, limits: Limits) -> AsyncIterator[Streams]:
    server = await listen(handler, 0, limits)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await server.close()


def talk(
    test: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
    handler: Handler = echo,
    limits: Limits | None = None,
) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(DEADLINE_S), connection(handler, limits or LIMITS) as streams:
            return await test(*streams)

    return asyncio.run(run())


def response_to(octets: bytes, handler: Handler = echo, limits: Limits | None = None) -> str:
    """The bytes that the server sends until it closes the connection."""

    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(octets)
        return (await reader.read()).decode()

    return str(talk(test, handler, limits))


def request(line: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: h", *headers, "", body]).encode()


CLOSE = "Connection: close"


def test_response_has_a_content_length() -> None:
    response = response_to(request("POST /x?q=1", CLOSE, "Content-Length: 3", body="abc"))
    head, _, body = response.partition("\r\n\r\n")
    assert head.splitlines()[0] == "HTTP/1.1 200 OK"
    assert "content-length: 11" in head.lower()
    assert body == "POST /x abc"


def test_chunks_of_a_body_are_joined() -> None:
    body = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert response_to(request("POST /", CLOSE, "Transfer-Encoding: chunked", body=body)).endswith("POST / abcde")


def test_pipelined_requests_are_answered_in_order() -> None:
    pipeline = request("GET /1") + request("POST /2", "Content-Length: 1", body="x") + request("GET /3", CLOSE)
    response = response_to(pipeline)
    assert response.count("HTTP/1.1 200") == 3
    assert response.index("GET /1") < response.index("POST /2 x") < response.index("GET /3")


def test_connection_is_kept_alive() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        seen = []
        for n in range(3):
            writer.write(request(f"GET /{n}"))
            seen.append((await reader.readuntil(f"GET /{n} ".encode()))[-7:])
        return seen

    assert talk(test) == [b"GET /0 ", b"GET /1 ", b"GET /2 "]


def test_http_1_0_connection_is_closed_after_the_response() -> None:
    assert response_to(b"GET /x HTTP/1.0\r\n\r\n").endswith("GET /x ")


def test_head_response_has_a_length_but_no_body() -> None:
    response = response_to(request("HEAD /x", CLOSE))
    assert "content-length: 8" in response.lower()
    assert response.endswith("\r\n\r\n")


def test_100_continue_is_sent_before_the_body_is_read() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(request("POST /", CLOSE, "Content-Length: 3", "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        return (await reader.read()).decode()

    assert talk(test).endswith("POST / abc")


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="not-http"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no-host"),
        pytest.param(request("GET /", "Bad header: x"), 400, id="header-name"),
        pytest.param(request("POST /", "Content-Length: x"), 400, id="length"),
        pytest.param(request("POST /", "Transfer-Encoding: chunked", body="zz\r\n"), 400, id="chunk"),
        pytest.param(request("GET /", "X: " + "x" * 3_000_000), 431, id="head-too-large"),
        pytest.param(request("POST /", "Content-Length: 9", body="123456789"), 413, id="body-too-large"),
        pytest.param(request("POST /", "Content-Length: 3000000", body="x" * 3_000_000), 413, id="body-far-too-large"),
        pytest.param(
            request("POST /", "Transfer-Encoding: chunked", body="9\r\n123456789\r\n"), 413, id="chunks-too-large"
        ),
    ],
)
def test_rejected_request_gets_a_response_and_its_connection_is_closed(octets: bytes, status: int) -> None:
    response = response_to(octets, limits=replace(LIMITS, body_size=8))
    assert response.startswith(f"HTTP/1.1 {status} ")
    assert "connection: close" in response.lower()


def test_body_of_exactly_the_limit_is_accepted() -> None:
    octets = request("POST /", CLOSE, "Content-Length: 8", body="12345678")
    assert response_to(octets, limits=replace(LIMITS, body_size=8)).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET / HT", id="half-a-head"),
    ],
)
def test_connection_of_a_slow_client_is_closed(octets: bytes) -> None:
    assert response_to(octets, limits=Limits(head_s=0.05, body_s=0.05, keep_alive_s=0.05)) == ""


def test_slow_client_does_not_delay_another_client() -> None:
    async def run() -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            server = await listen(echo, 0, LIMITS)
            _, slow = await asyncio.open_connection("127.0.0.1", server.port)
            slow.write(b"GET / HT")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request("GET /", CLOSE))
            response = await reader.read()
            for each in (slow, writer):
                each.close()
            await server.close()
            return response

    assert asyncio.run(run()).endswith(b"GET / ")


def test_handler_can_reset_the_connection() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /reset"))
        with pytest.raises(ConnectionResetError):
            await reader.read()

    talk(test)


def test_port_in_use_is_an_error() -> None:
    async def run() -> None:
        server = await listen(echo, 0, LIMITS)
        try:
            with pytest.raises(OSError, match="in use"):
                await listen(echo, server.port, LIMITS)
        finally:
            await server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("line", "status", "body"),
    [
        pytest.param("GET /health", 200, "ok\n", id="health"),
        pytest.param("GET /readiness", 200, "ok\n", id="readiness"),
        pytest.param("GET /healthz", 200, "ok\n", id="healthz"),
        pytest.param("GET /readyz", 200, "ok\n", id="readyz"),
        pytest.param("GET /readiness?verbose=1", 200, "ok\n", id="query"),
        pytest.param("GET /metrics", 200, "m 1\n", id="metrics"),
        pytest.param("HEAD /health", 200, "", id="head"),
        pytest.param("POST /health", 405, "the method must be GET\n", id="post"),
        pytest.param(
            "GET /other", 404, "the pages are /health, /readiness, /metrics, /healthz, /readyz\n", id="unknown"
        ),
    ],
)
def test_pages_of_the_health_port(line: str, status: int, body: str) -> None:
    response = response_to(request(line, CLOSE), serve_pages(health(lambda: None, lambda: Response(200, b"m 1\n"))))
    assert response.startswith(f"HTTP/1.1 {status} ")
    assert response.partition("\r\n\r\n")[2] == body
    assert ("allow: get, head" in response.lower()) == (status == 405)


@pytest.mark.parametrize(("live", "ready"), [("/health", "/readiness"), ("/healthz", "/readyz")])
def test_stopping_adapter_is_live_but_not_ready(live: str, ready: str) -> None:
    pages = serve_pages(health(lambda: "stopping", lambda: Response(200)))
    assert response_to(request(f"GET {ready}", CLOSE), pages).startswith("HTTP/1.1 503 ")
    assert response_to(request(f"GET {live}", CLOSE), pages).startswith("HTTP/1.1 200 ")
