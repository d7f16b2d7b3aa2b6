"""Serves an ASGI app with uvicorn's HTTP/1.1 protocol on the running event loop.

``uvicorn.Server`` wakes up ten times a second; this server wakes up only for requests. Each connection has limits on
the size and the time of a request head. Requests to upgrade to another protocol are declined.

This is the only module that uses uvicorn's internals, so pyproject.toml allows only the uvicorn versions that were
tested with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from adapter.serving.server import bind_all_addresses

HEAD_LIMIT = 64 * 1024  # bytes of a request head, and of the overhead between the chunks of a body
BAD_REQUEST = 400, "not an HTTP/1.1 request"
HEAD_TOO_LONG = 431, f"the request head is longer than {HEAD_LIMIT} bytes"
Drain = Callable[[], Awaitable[None]]


class _HeadTooLong(Exception):
    """Stops the parser, because the request head is longer than ``HEAD_LIMIT``."""


class _Connection(HttpToolsProtocol):
    """One connection of a client."""

    _head_timer: asyncio.TimerHandle | None = None
    _overhead = 0  # bytes since the head began, or since the last byte of the body

    def __init__(self, config: Config, state: ServerState, draining: asyncio.Event, head_s: float) -> None:
        super().__init__(config, state, {})
        self._draining = draining
        self._head_s = head_s

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:  # uvicorn would log a line for each
            self._reject(*(HEAD_TOO_LONG if isinstance(error.__context__, _HeadTooLong) else BAD_REQUEST))
        else:
            if self._overhead > HEAD_LIMIT:
                self._reject(*HEAD_TOO_LONG)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parse the request again without its Upgrade header (RFC 9110 section 7.8): the parser skipped its body."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            return self._reject(405, "CONNECT is not supported")
        kept = [b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method, self.url, b"".join(kept), rest))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead = 0
        self._unset_keepalive_if_required()
        if self._head_timer is None:
            self._start_head_timer()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_LIMIT:
            raise _HeadTooLong
        if self.parser.should_upgrade():
            return
        super().on_headers_complete()
        if self._draining.is_set():
            self.close_after_response()

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._overhead = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def close_after_response(self) -> None:
        """Send ``Connection: close`` with the response of the request in flight, if there is one."""
        if self.cycle:
            self.cycle.keep_alive = False

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._head_s, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _reject(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        head = f"HTTP/1.1 {status} \r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()


@contextlib.asynccontextmanager
async def serving(
    app: Any, port: int, *, head_s: float, keep_alive_s: float, responses_s: float
) -> AsyncIterator[Drain]:
    """Serve ``app`` on all addresses of this machine; ``OSError`` if the port is in use.

    ``head_s`` is the time for a request head, ``keep_alive_s`` the time between two requests, and ``responses_s`` the
    time for the last responses once the block ends.

    The block gets a function that drains: from then on each response closes its connection, and the function returns
    when no connection is open. Without it, a client could send a request on a connection that is just being closed.
    """
    config, state, draining = _config(app, keep_alive_s), ServerState(), asyncio.Event()

    async def bind(host: str | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(config, state, draining, head_s), host, port, backlog=1024)

    server = await bind_all_addresses(bind)
    try:
        yield lambda: _drain(state, draining)
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(responses_s):
                while state.tasks:  # noqa: ASYNC110 -- uvicorn has no event for its last response
                    await asyncio.sleep(0.01)


async def _drain(state: ServerState, draining: asyncio.Event) -> None:
    draining.set()
    for connection in state.connections:
        assert isinstance(connection, _Connection)
        connection.close_after_response()
    while state.connections:  # noqa: ASYNC110 -- uvicorn has no event for its last connection
        await asyncio.sleep(0.01)


def _config(app: Any, keep_alive_s: float) -> Config:
    config = Config(
        app,
        lifespan="off",
        access_log=False,
        proxy_headers=False,  # the client's address is not used
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=int(keep_alive_s),
        interface="asgi3",
    )
    config.load()
    return config
