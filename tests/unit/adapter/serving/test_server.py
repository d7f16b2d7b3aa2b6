"""The small HTTP server, octet by octet on a real socket."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapter.observe.health import health
from adapter.serving.messages import Request, Response
from adapter.serving.server import Handler, Limits, Reset, listen, port_of

DEADLINE_S = 10
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: Request) -> Response:
    if request.path == "/reset":
        raise Reset
    return Response(200, request.method.encode() + b" " + request.path.encode() + b" " + request.body)


@asynccontextmanager
async def connection(handler: Handler, limits: Limits) -> AsyncIterator[Streams]:
    server = await listen(handler, 0, limits)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


def talk(
    test: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]],
    handler: Handler = echo,
    limits: Limits | None = None,
) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(DEADLINE_S), connection(handler, limits or Limits()) as streams:
            return await test(*streams)

    return asyncio.run(run())


def answers(octets: bytes, handler: Handler = echo, limits: Limits | None = None) -> str:
    """All that comes back until the server hangs up."""

    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(octets)
        return (await reader.read()).decode()

    return str(talk(test, handler, limits))


def request(line: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: h", *headers, "", body]).encode()


CLOSE = "Connection: close"


def test_a_request_is_answered_with_the_length_of_its_body() -> None:
    answer = answers(request("POST /x?q=1", CLOSE, "Content-Length: 3", body="abc"))
    head, _, body = answer.partition("\r\n\r\n")
    assert head.splitlines()[0] == "HTTP/1.1 200 "
    assert "content-length: 11" in head.lower()
    assert body == "POST /x abc"


def test_a_chunked_body_is_put_together() -> None:
    body = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert answers(request("POST /", CLOSE, "Transfer-Encoding: chunked", body=body)).endswith("POST / abcde")


def test_pipelined_requests_are_answered_in_order() -> None:
    pipeline = request("GET /1") + request("POST /2", "Content-Length: 1", body="x") + request("GET /3", CLOSE)
    answer = answers(pipeline)
    assert answer.count("HTTP/1.1 200") == 3
    assert answer.index("GET /1") < answer.index("POST /2 x") < answer.index("GET /3")


def test_a_connection_serves_one_request_after_the_other() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        seen = []
        for n in range(3):
            writer.write(request(f"GET /{n}"))
            seen.append((await reader.readuntil(f"GET /{n} ".encode()))[-7:])
        return seen

    assert talk(test) == [b"GET /0 ", b"GET /1 ", b"GET /2 "]


def test_http_1_0_is_answered_and_hung_up_on() -> None:
    assert answers(b"GET /x HTTP/1.0\r\n\r\n").endswith("GET /x ")


def test_head_gets_the_length_without_the_body() -> None:
    answer = answers(request("HEAD /x", CLOSE))
    assert "content-length: 8" in answer.lower()
    assert answer.endswith("\r\n\r\n")


def test_who_expects_100_continue_gets_it_before_the_body() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(request("POST /", CLOSE, "Content-Length: 3", "Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 \r\n\r\n"
        writer.write(b"abc")
        return (await reader.read()).decode()

    assert talk(test).endswith("POST / abc")


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no-http"),
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
def test_a_request_that_cannot_be_taken_is_answered_and_hung_up_on(octets: bytes, status: int) -> None:
    answer = answers(octets, limits=Limits(body_size=8))
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert "connection: close" in answer.lower()


def test_a_body_of_just_the_limit_is_taken() -> None:
    octets = request("POST /", CLOSE, "Content-Length: 8", body="12345678")
    assert answers(octets, limits=Limits(body_size=8)).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET / HT", id="half-a-head"),
        pytest.param(request("POST /", "Content-Length: 3", body="a"), id="half-a-body"),
    ],
)
def test_a_client_that_is_too_slow_is_hung_up_on(octets: bytes) -> None:
    assert answers(octets, limits=Limits(request_s=0.05)) == ""


def test_a_slow_client_does_not_hold_up_another() -> None:
    async def run() -> bytes:
        async with asyncio.timeout(DEADLINE_S):
            server = await listen(echo, 0, Limits())
            _, slow = await asyncio.open_connection("127.0.0.1", port_of(server))
            slow.write(b"GET / HT")
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write(request("GET /", CLOSE))
            answer = await reader.read()
            for each in (slow, writer):
                each.close()
            server.close()
            return answer

    assert asyncio.run(run()).endswith(b"GET / ")


def test_a_handler_may_break_the_connection_off() -> None:
    async def test(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(request("GET /reset"))
        with pytest.raises(ConnectionResetError):
            await reader.read()

    talk(test)


def test_a_node_without_ipv6_is_served_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real, hosts = asyncio.start_server, []

    async def without_ipv6(connected: Any, host: str | None, port: int) -> asyncio.Server:
        hosts.append(host)
        if host is None:
            raise OSError(errno.EADDRNOTAVAIL, "no ::")
        return await real(connected, "127.0.0.1", 0)

    async def run() -> None:
        monkeypatch.setattr(asyncio, "start_server", without_ipv6)
        (await listen(echo, 8080, Limits())).close()

    asyncio.run(run())
    assert hosts == [None, "0.0.0.0"]


def test_a_port_that_is_taken_is_an_error() -> None:
    async def run() -> None:
        server = await listen(echo, 0, Limits())
        try:
            with pytest.raises(OSError, match="in use"):
                await listen(echo, port_of(server), Limits())
        finally:
            server.close()

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
        pytest.param("POST /health", 405, "only GET\n", id="post"),
        pytest.param("GET /other", 404, "there are /health, /readiness, /metrics, /healthz, /readyz\n", id="unknown"),
    ],
)
def test_the_pages_of_an_adapter(line: str, status: int, body: str) -> None:
    answer = answers(request(line, CLOSE), health(lambda: None, lambda: Response(200, b"m 1\n")))
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert answer.partition("\r\n\r\n")[2] == body
    assert ("allow: get, head" in answer.lower()) == (status == 405)


@pytest.mark.parametrize(("alive", "ready"), [("/health", "/readiness"), ("/healthz", "/readyz")])
def test_a_stopping_adapter_is_alive_but_not_ready(alive: str, ready: str) -> None:
    pages = health(lambda: "stopping", lambda: Response(200))
    assert answers(request(f"GET {ready}", CLOSE), pages).startswith("HTTP/1.1 503 ")
    assert answers(request(f"GET {alive}", CLOSE), pages).startswith("HTTP/1.1 200 ")
