"""uvicorn's HTTP protocol on the adapter's own loop: without a request it never wakes up; a slow caller is cut off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

HEADERS_S = 10.0  # for a new connection to bring its first request's headers
IDLE_S = 75  # between requests; longer than the idle time of common load balancers
GRACE_S = 2.0  # for answers under way when serving ends


class _Protocol(HttpToolsProtocol):
    """One caller's connection."""

    _too_slow: asyncio.TimerHandle | None = None

    def __init__(self, config: Config, state: ServerState, leaving: asyncio.Event) -> None:
        super().__init__(config, state, {})
        self._leaving = leaving

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself narrows it
        super().connection_made(transport)
        self._too_slow = self.loop.call_later(HEADERS_S, self._cut_off)

    def on_headers_complete(self) -> None:
        if self._too_slow:
            self._too_slow.cancel()
        super().on_headers_complete()
        if self._leaving.is_set():
            self.say_goodbye()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._too_slow:
            self._too_slow.cancel()
        super().connection_lost(exc)

    def say_goodbye(self) -> None:
        """With the answer under way, if there is one: it is the last one on this connection, and says so."""
        if self.cycle:
            self.cycle.keep_alive = False

    def _cut_off(self) -> None:
        if self.cycle is None:
            self.transport.close()


Leave = Callable[[], Awaitable[None]]


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
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=IDLE_S,
        interface="asgi3",
    )
    config.load()
    state, leaving = ServerState(), asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Protocol(config, state, leaving), "0.0.0.0", port, backlog=1024)

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
