"""The connections to one destination, which may go through a proxy. A request takes an idle one or makes a new one.

There are no timers: how long a connection was idle, and how old it is, is looked at when a request begins or ends.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial

from aiohappyeyeballs import start_connection

from adapter.contract.egress import Egress
from adapter.contract.proxies import Proxy
from adapter.contract.timeouts import Timeouts
from adapter.delivery.connection import CLOSED, KEPT_BODY, Connection, NoResponse, OnHead, Response, os_text
from adapter.delivery.request import Target
from adapter.delivery.tunnel import open_tunnel

PROXY_AUTHENTICATION_REQUIRED = 407  # only proxies send this status (RFC 9110, section 15.5.8)
NEXT_ADDRESS_S = 0.25  # RFC 8305: the time until the next address of a name is tried, too


class Connections:
    """``context``: None for a destination without TLS. ``egress``: the servers that may be connected to.

    ``jitter`` returns the share of the jitter in the maximum age of a new connection, from 0 to 1. ``kept_body``: how
    many bytes of a body a response has.
    """

    def __init__(
        self,
        target: Target,
        context: ssl.SSLContext | None,
        connect_timeout_s: float,
        timeouts: Timeouts,
        egress: Egress,
        jitter: Callable[[], float] = random.random,
        kept_body: int = KEPT_BODY,
    ) -> None:
        self._host, self._port, self._proxy = target.host, target.port, target.proxy
        self._to = f" to the proxy {target.proxy}" if target.proxy else ""
        self._context = context
        self._connect_timeout_s = connect_timeout_s
        self._timeouts = timeouts
        self._egress = egress
        self._jitter = jitter
        self._protocol = partial(Connection, kept_body)
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
            response = await connection.exchange(request, until, self._timeouts, on_head)
        finally:
            self._give_back(connection)
        if response.status == PROXY_AUTHENTICATION_REQUIRED and self._proxy and not self._context:
            raise NoResponse(f"the proxy {self._proxy} answered {response.status}")  # the sink has not got the event
        return response

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> Connection | None:
        """The most recently used connection, so that the others become old."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            since, connection = self._idle.pop()
            if since > now - self._timeouts.sink_idle_s and now < connection.use_until and connection.is_silent():
                return connection
            connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        """Keep it if it can be used again. Closes at most one connection that is too old."""
        now = asyncio.get_running_loop().time()
        if self._retired or now >= connection.use_until:
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
                age_limit_s = self._timeouts.age_limit_s(self._jitter())
                connection.use_until = asyncio.get_running_loop().time() + age_limit_s
                return connection
            except ssl.SSLError as error:
                raise NoResponse(f"TLS handshake failed: {error.strerror or error}") from None
            except (socket.gaierror, UnicodeError) as error:
                text = error.strerror if isinstance(error, OSError) else "the name is not valid"
                name = f"host name of the proxy {self._proxy}" if self._proxy else "host name"
                raise NoResponse(f"{name} not resolved: {text}") from None
            except OSError as error:
                text = os_text(error, "all addresses of the host failed")
                raise NoResponse(f"no connection{self._to}: {text}", unprocessed=True) from None

    async def _tcp(self) -> tuple[asyncio.Transport, Connection]:
        """Looks up the name each time, because a restarted sink may have a new address."""
        if problem := self._egress.host_problem(self._host):
            raise NoResponse(problem)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if self._proxy:
                    return await self._through(self._proxy)
                transport, connection = await self._connected(self._host, self._port)
        except TimeoutError:
            through = f" through the proxy {self._proxy}" if self._proxy else ""
            reason = f"no connection{through} within {self._connect_timeout_s:g} s"
            raise NoResponse(reason, "timeout", unprocessed=True) from None
        peer = transport.get_extra_info("peername")  # None if the sink has closed the connection
        if peer and (problem := self._egress.address_problem(peer[0])):
            transport.abort()
            raise NoResponse(problem)
        return transport, connection

    async def _through(self, proxy: Proxy) -> tuple[asyncio.Transport, Connection]:
        transport, connection = await self._connected(proxy.host, proxy.port)
        if self._context:
            await open_tunnel(transport, connection, proxy, self._host, self._port)
        return transport, connection

    async def _connected(self, host: str, port: int) -> tuple[asyncio.Transport, Connection]:
        """``create_connection()`` of asyncio races addresses, too, but if it is cancelled it may not close a socket."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        sock = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, interleave=1)
        return await loop.create_connection(self._protocol, sock=sock)

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
