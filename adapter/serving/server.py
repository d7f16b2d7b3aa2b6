"""A small HTTP/1.1 server for health pages and test sinks: h11 on asyncio streams.

It does not wake up while no connection is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import h11

from adapter.serving.messages import Request, Response

READ_SIZE = 64 * 1024
LINGER_S = 1.0


class Reset(Exception):
    """Raise it in a handler to reset the connection instead of responding."""


class RequestRejected(Exception):
    """The request is not passed to the handler; the only argument is the status of the response."""


@dataclass(frozen=True)
class Limits:
    """``request_s``: seconds for a whole request, including the wait for it on an open connection.

    ``body_size``: bytes of the body of a request.
    """

    request_s: float
    body_size: int = READ_SIZE


Handler = Callable[[Request], Awaitable[Response]]


async def listen(handler: Handler, port: int, limits: Limits, *, host: str | None = None) -> asyncio.Server:
    """Serve on all addresses, or on ``host``; ``OSError`` if the port is in use. Port 0: any free port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _serve_connection(reader, writer, handler, limits)
        except Reset:
            no_linger = struct.pack("ii", 1, 0)  # without SO_LINGER the client would see a normal end
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            writer.transport.abort()
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # the client disconnected, is too slow, or does not speak HTTP
        except asyncio.CancelledError:
            pass  # the process ends; Python 3.11 would print a traceback for each open connection
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    async def bind(address: str | None) -> asyncio.Server:
        return await asyncio.start_server(connected, address, port)

    if host or port == 0:  # port 0 on all addresses would be a different port for each
        return await bind(host or "0.0.0.0")
    return await bind_all_addresses(bind)


async def bind_all_addresses(bind: Callable[[str | None], Awaitable[asyncio.Server]]) -> asyncio.Server:
    """``bind(None)``, and ``bind("0.0.0.0")`` on a node where IPv6 is disabled."""
    try:
        return await bind(None)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return await bind("0.0.0.0")


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, limits: Limits
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=READ_SIZE)
    while True:
        try:
            async with asyncio.timeout(limits.request_s):
                request = await _receive(connection, reader, writer, limits.body_size)
        except (RequestRejected, h11.RemoteProtocolError) as error:
            status = error.args[0] if isinstance(error, RequestRejected) else error.error_status_hint
            await _send(connection, writer, Response(status), limits, close=True)
            return await _linger(reader, writer)
        if request is None:
            return
        response = await handler(request)
        await _send(connection, writer, response, limits, head=request.method == "HEAD")
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Keep reading while the client sends: a close would reset the connection before the client reads the response."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await reader.read(READ_SIZE):
            pass


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body_size: int
) -> Request | None:
    """The next request, or None if the client closed the connection."""
    request, body = None, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                writer.write(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(await reader.read(READ_SIZE))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > body_size:
                raise RequestRejected(413)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
            path = request.target.decode("latin-1").partition("?")[0]
            return Request(request.method.decode("latin-1"), path, headers, bytes(body))
        else:
            return None


async def _send(
    connection: h11.Connection,
    writer: asyncio.StreamWriter,
    response: Response,
    limits: Limits,
    *,
    head: bool = False,
    close: bool = False,
) -> None:
    headers = [*response.headers.items(), ("Content-Length", str(len(response.body)))]
    if close:
        headers.append(("Connection", "close"))
    parts: list[h11.Event] = [h11.Response(status_code=response.status, headers=headers)]
    if response.body and not head and response.status not in (204, 304):
        parts.append(h11.Data(data=response.body))
    octets = b"".join(connection.send(part) or b"" for part in (*parts, h11.EndOfMessage()))
    async with asyncio.timeout(limits.request_s):
        writer.write(octets)
        await writer.drain()
