"""uvicorn's HTTP protocol on the adapter's own loop: without a request it never wakes up, and a caller has limits.

Nothing but HTTP/1.1 is spoken; a request that offers something else is read as what it is. What one connection may
hold in memory beside a body is bounded, and so is the time it may take for the head of each request.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEAD_S = 10.0  # for a connection to bring its first request's head, and for each later one from its first octet
HEAD_LIMIT = 64 * 1024  # octets of a head, and of what stands between the parts of a body
IDLE_S = 75  # between requests; longer than the idle time of common load balancers
GRACE_S = 2.0  # for answers under way when serving ends
NO_REQUEST = 400, "this is no HTTP/1.1 request"
TOO_LONG = 431, f"the head of a request has at most {HEAD_LIMIT} bytes"
Leave = Callable[[], Awaitable[None]]


class _TooLong(Exception):
    """Ends the parser."""


class _Protocol(HttpToolsProtocol):
    """One caller's connection."""

    _too_slow: asyncio.TimerHandle | None = None
    _overhead = 0  # octets since the head began, or since the last of the body

    def __init__(self, config: Config, state: ServerState, leaving: asyncio.Event) -> None:
        super().__init__(config, state, {})
        self._leaving = leaving

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself narrows it
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:  # uvicorn would write a line for each
            self._refuse(*(TOO_LONG if isinstance(error.__context__, _TooLong) else NO_REQUEST))
        else:
            if self._overhead > HEAD_LIMIT:
                self._refuse(*TOO_LONG)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Take the request as if it had offered none (RFC 9110 section 7.8); the parser has left out its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            return self._refuse(405, "this is no proxy")
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, self.url, b"".join(kept), rest))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead = 0
        self._unset_keepalive_if_required()
        if self._too_slow is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_LIMIT:
            raise _TooLong
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        if self._leaving.is_set():
            self.say_goodbye()

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def say_goodbye(self) -> None:
        """With the answer under way, if there is one: it is the last one on this connection, and says so."""
        if self.cycle:
            self.cycle.keep_alive = False

    def _expect_head(self) -> None:
        self._too_slow = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_is_there(self) -> None:
        if self._too_slow:
            self._too_slow.cancel()
            self._too_slow = None

    def _refuse(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        head = f"HTTP/1.1 {status} \r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()


@contextlib.asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[Leave]:
    """``OSError`` if the port is taken.

    What it gives is awaited before the end: from then on each answer ends its connection and says so, until none is
    left. A caller that keeps its connection may send the next request the moment it is closed, and gets no answer.
    """
    config = Config(
        app,
        lifespan="off",
        access_log=False,
        proxy_headers=False,  # nobody asks who calls
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_S,
        interface="asgi3",
    )
    config.load()
    state, leaving = ServerState(), asyncio.Event()
    server = await _listen(lambda: _Protocol(config, state, leaving), port)

    async def leave() -> None:
        leaving.set()
        for connection in state.connections:
            assert isinstance(connection, _Protocol)
            connection.say_goodbye()
        while state.connections:  # noqa: ASYNC110 -- uvicorn tells nobody when its last connection ends
            await asyncio.sleep(0.01)

    try:
        yield leave
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                while state.tasks:  # noqa: ASYNC110 -- uvicorn tells nobody when its last answer is out
                    await asyncio.sleep(0.01)


async def _listen(protocol: Callable[[], asyncio.Protocol], port: int) -> asyncio.Server:
    """On every address; a node may have IPv6 switched off."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(protocol, None, port, backlog=1024)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return await loop.create_server(protocol, "0.0.0.0", port, backlog=1024)
