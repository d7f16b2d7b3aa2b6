"""The connections to one destination. A request takes an idle one or makes a new one. There are no timers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque

from adapter.contract.egress import Egress
from adapter.contract.timeouts import Timeouts
from adapter.delivery.connection import CLOSED, Connection, NoResponse, OnHead, Response, os_text

NEXT_ADDRESS_S = 0.25  # RFC 8305: the time until the next address of a name is tried, too


class Connections:
    """``context``: None for a destination without TLS. ``egress``: the servers that may be connected to."""

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        connect_timeout_s: float,
        timeouts: Timeouts,
        egress: Egress,
    ) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        self._egress = egress
        self._idle: deque[tuple[float, Connection]] = deque()  # (idle since, connection); longest idle first
        self._retired = False

    def retire(self) -> None:
        """Close the idle connections now, and the others at the end of their requests."""
        self._retired = True
        self._close_idle()

    async def exchange(self, request: bytes, until: float, on_head: OnHead) -> Response:
        """Send ``request`` on an idle or new connection, and once more if it was not processed.

        ``until`` and ``on_head`` are those of ``Connection.exchange``. Raises what it raises.
        """
        try:
            return await self._exchange(request, until, on_head)
        except NoResponse as error:
            if not error.unprocessed:
                raise
        self._close_idle()  # the sink has probably closed them, too
        return await self._exchange(request, until, on_head)

    async def _exchange(self, request: bytes, until: float, on_head: OnHead) -> Response:
        connection = self._take() or await self._connect(until)
        try:
            return await connection.exchange(request, until, self._timeouts, on_head)
        finally:
            self._give_back(connection)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> Connection | None:
        """The most recently used connection, so that the others become old."""
        oldest = asyncio.get_running_loop().time() - self._timeouts.sink_idle_s
        while self._idle:
            since, connection = self._idle.pop()
            if since > oldest and connection.is_silent():
                return connection
            connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        """Keep it if it can be used again. Closes at most one connection that is too old."""
        now = asyncio.get_running_loop().time()
        if self._retired:
            connection.close()
        elif connection.is_reusable:
            self._idle.append((now, connection))
            if self._idle[0][0] < now - self._timeouts.sink_idle_s:
                self._idle.popleft()[1].close()

    async def _connect(self, until: float) -> Connection:
        async with asyncio.timeout_at(until):
            try:
                transport, connection = await self._tcp()
                if self._context:
                    await self._start_tls(transport, connection, self._context)
                return connection
            except ssl.SSLError as error:
                raise NoResponse(f"TLS handshake failed: {error.strerror or error}") from None
            except (socket.gaierror, UnicodeError) as error:
                text = error.strerror if isinstance(error, OSError) else "the name is not valid"
                raise NoResponse(f"host name not resolved: {text}") from None
            except OSError as error:
                text = os_text(error, "all addresses of the host failed")
                raise NoResponse(f"no connection: {text}", unprocessed=True) from None

    async def _tcp(self) -> tuple[asyncio.Transport, Connection]:
        """Looks up the name each time, because a restarted sink may have a new address."""
        if problem := self._egress.host_problem(self._host):
            raise NoResponse(problem)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                transport, connection = await loop.create_connection(
                    Connection, self._host, self._port, happy_eyeballs_delay=NEXT_ADDRESS_S
                )
        except TimeoutError:
            reason = f"no connection within {self._connect_timeout_s:g} s"
            raise NoResponse(reason, "timeout", unprocessed=True) from None
        peer = transport.get_extra_info("peername")  # None if the sink has closed the connection
        if peer and (problem := self._egress.address_problem(peer[0])):
            transport.abort()
            raise NoResponse(problem)
        return transport, connection

    async def _start_tls(self, transport: asyncio.Transport, connection: Connection, context: ssl.SSLContext) -> None:
        try:
            host = self._host.rstrip(".")  # certificates have names without the dot
            over_tls = await asyncio.get_running_loop().start_tls(transport, connection, context, server_hostname=host)
            if over_tls is None:
                raise ConnectionResetError
            connection.connection_made(over_tls)
        except BaseException as error:
            transport.abort()
            if isinstance(error, ConnectionError):  # also if the sink refuses the version of TLS
                raise NoResponse(f"TLS handshake failed: {os_text(error, CLOSED)}", unprocessed=True) from None
            raise
