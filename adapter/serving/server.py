"""An HTTP/1.1 server for listeners, health pages and test sinks. It wakes up only for requests and time limits."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from adapter.serving.connection import Connection
from adapter.serving.limits import Connections, Handler, Limits
from adapter.serving.messages import Refusal, Response
from adapter.serving.sockets import ALL_ADDRESSES, BACKLOG, listening_socket
from adapter.serving.wire import CheckHead


class Server:
    """A server that is listening."""

    def __init__(self, listening: asyncio.Server, connections: Connections) -> None:
        self._listening = listening
        self._connections = connections

    @property
    def port(self) -> int:
        port: int = self._listening.sockets[0].getsockname()[1]
        return port

    async def drain(self) -> None:
        """Close each connection with its next response, and those of streams now. Return when no connection is open.

        If connections were closed without a response, a client could send a request on one at the same moment.
        """
        self._connections.draining = True
        self._connections.end_streams()
        if self._connections.opened:
            await self._connections.none_open.wait()

    async def close(self, within_s: float = 0.0) -> None:
        """Accept no connection and no request, wait ``within_s`` seconds for the last responses, and drop the rest."""
        self._listening.close()
        self._connections.end_streams()
        for connection in list(self._connections.opened):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if self._connections.opened:
                    await self._connections.none_open.wait()
        for connection in list(self._connections.opened):
            connection.abort()


async def listen(handler: Handler, port: int, limits: Limits, *, host: str = ALL_ADDRESSES, **options: Any) -> Server:
    """Serve on ``host``, or on all addresses; ``OSError`` if the port is in use. Port 0: any free port."""
    return await listen_on(handler, listening_socket(host, port), limits, **options)


async def listen_on(
    handler: Handler,
    bound: socket.socket,
    limits: Limits,
    *,
    check_head: CheckHead | None = None,
    refused: Callable[[Refusal], Response] = Refusal.response,
) -> Server:
    """Serve on a socket that listens already. ``check_head``: see ``Connection``; ``refused``: see ``Connections``."""
    connections, loop = Connections(handler, limits, refused), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(connections, check_head), sock=bound, backlog=BACKLOG)
    return Server(listening, connections)
