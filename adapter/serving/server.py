"""An HTTP/1.1 server for listeners, health pages and test sinks. It wakes up only for requests and time limits."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable

from adapter.serving.connection import Connection
from adapter.serving.limits import Connections, Handler, Limits


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
        """Close each connection with its next response. Return when no connection is open.

        If connections were closed without a response, a client could send a request on one at the same moment.
        """
        self._connections.draining = True
        if self._connections.opened:
            await self._connections.none_open.wait()

    async def close(self, within_s: float = 0.0) -> None:
        """Accept no connection and no request, wait ``within_s`` seconds for the last responses, and drop the rest."""
        self._listening.close()
        for connection in list(self._connections.opened):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                if self._connections.opened:
                    await self._connections.none_open.wait()
        for connection in list(self._connections.opened):
            connection.abort()


async def listen(handler: Handler, port: int, limits: Limits, *, host: str | None = None) -> Server:
    """Serve on all addresses, or on ``host``; ``OSError`` if the port is in use. Port 0: any free port."""
    connections = Connections(handler, limits)

    async def bind(address: str | None) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(connections), address, port, backlog=256)

    if host or port == 0:  # port 0 on all addresses would be a different port for each
        return Server(await bind(host or "0.0.0.0"), connections)
    return Server(await bind_all_addresses(bind), connections)


async def bind_all_addresses(bind: Callable[[str | None], Awaitable[asyncio.Server]]) -> asyncio.Server:
    """``bind(None)``, and ``bind("0.0.0.0")`` on a node where IPv6 is disabled."""
    try:
        return await bind(None)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return await bind("0.0.0.0")
