"""A small HTTP server, h11 on asyncio's streams: without a connection open it never wakes up.

:func:`health` answers for a running adapter; :mod:`adapter.display` answers events on the same server.
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
    """Raised by a handler to break the connection off instead of answering."""


class RequestRejected(Exception):
    """The request cannot be taken; its one argument is the status to answer."""


@dataclass(frozen=True)
class Limits:
    """What one client may cost. The time covers a whole request, waiting for it to begin included."""

    request_s: float = 10.0
    body_size: int = READ_SIZE


Handler = Callable[[Request], Awaitable[Response]]


async def listen(handler: Handler, port: int, limits: Limits, *, host: str | None = None) -> asyncio.Server:
    """Serve on every address of this machine, or on ``host``; ``OSError`` if the port is taken. Port 0 picks one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, handler, limits)
        except Reset:
            now = struct.pack("ii", 1, 0)  # without SO_LINGER the client would see an orderly end
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            writer.transport.abort()
        except (OSError, TimeoutError, h11.ProtocolError):
            pass  # the client is gone, or too slow, or no HTTP client
        except asyncio.CancelledError:
            pass  # the process ends; Python 3.11 would print a traceback for each open connection
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    try:
        return await asyncio.start_server(connected, host or (None if port else "0.0.0.0"), port)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return await asyncio.start_server(connected, "0.0.0.0", port)  # IPv6 is switched off on this node


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _converse(
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
    """Hear out a client that still sends: closing on it would reset the connection, and it would not see the answer."""
    writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await reader.read(READ_SIZE):
            pass


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body_size: int
) -> Request | None:
    """The next request; None if the client ends the conversation."""
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
