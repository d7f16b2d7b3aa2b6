"""Polls reuse a connection, and a connection that breaks between two polls fails none of them."""

from __future__ import annotations

import asyncio
import contextlib

import httpx2
import pytest

from adapter.polling.client import make_client
from adapter.sdk import Unchanged
from adapter.sources.poll_source import PollSource
from tests.deadline import DEADLINE_S
from tests.unit.adapter.later import run, skip
from tests.unit.adapter.polling.polled import poll

UNCHANGED = b"HTTP/1.1 304 Not Modified\r\n"
LIST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
EMPTY = b"HTTP/1.1 204 No Content\r\n"


class Server:
    """Sends ``response`` to each request. ``requests``: the number of requests on each connection."""

    def __init__(self, response: bytes, closes: bool = False) -> None:
        self.response, self.closes = response, closes
        self.requests: list[int] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.requests)
        self.requests.append(0)
        self.writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests[number] += 1
                if self.closes and self.requests[number] == 2:
                    break
                writer.write(self.response)
        writer.close()

    def poll(self, polls: int, every_s: float = 0) -> list[int]:
        async def polling() -> None:
            server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            source = PollSource(url=url, headers={"If-None-Match": '"1"'})
            transport = httpx2.AsyncHTTPTransport(trust_env=False)
            try:
                async with (
                    server,
                    asyncio.timeout(DEADLINE_S + polls * every_s),
                    make_client(transport, 1024) as client,
                ):
                    for _ in range(polls):
                        skip(every_s)
                        with contextlib.suppress(Unchanged):
                            assert await poll(source, client) == []
            finally:
                await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)

        run(polling())
        return self.requests


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(UNCHANGED + b"\r\n", id="304"),
        pytest.param(UNCHANGED + b"Content-Length: 0\r\n\r\n", id="304-length-0"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", id="200"),
    ],
)
def test_response_keeps_the_connection_open(response: bytes) -> None:
    assert Server(response).poll(3) == [3]


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(UNCHANGED + b"Content-Length: 9\r\n\r\nunchanged", id="length"),
        pytest.param(UNCHANGED + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", id="chunked"),
    ],
)
def test_connection_is_dropped_after_a_304_with_a_body(response: bytes) -> None:
    assert Server(response).poll(3) == [1, 1, 1]


@pytest.mark.parametrize("response", [LIST, UNCHANGED + b"\r\n"], ids=["200", "304"])
def test_connection_older_than_the_limit_is_closed_after_the_response(response: bytes) -> None:
    """The limit is 5 minutes ± 20 %."""
    assert Server(response).poll(5, every_s=119) in ([4, 1], [5])  # the fourth one comes at 357 s, the fifth at 476 s
    assert Server(response).poll(4, every_s=361) == [2, 2]


def test_poll_is_sent_again_after_a_304_with_a_body_that_is_not_announced() -> None:
    assert Server(UNCHANGED + b"\r\nunchanged").poll(3) in ([1, 1, 1], [2, 2, 1])


def test_poll_is_sent_again_when_the_server_closes_a_kept_connection() -> None:
    assert Server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", closes=True).poll(3) == [2, 2, 1]


def test_failure_on_a_new_connection_is_not_retried() -> None:
    server = Server(b"nonsense\r\n\r\n")
    with pytest.raises(httpx2.RemoteProtocolError):
        server.poll(1)
    assert server.requests == [1]
