"""The Service of a source that listens: a fixed port of this machine in place of the address in a cluster.

It forwards each connection to the replica that is ready. So the URL stays the same while a new replica replaces it. The
port is one of ``127.0.0.1`` and, if this machine has IPv6, of ``::1``, too: ``localhost`` may be either of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Sequence

from adapter.serving.sockets import NO_IPV6, listening_socket
from sources_cli.local.process import LOOPBACK, OnLine
from sources_cli.problem import Problem

FIRST_PORT = 8888  # the port of a listener in a cluster
READ_SIZE = 64 * 1024


class ServicePorts:
    """Assigns ``first`` to the first source that listens, and the next ports to the next ones.

    Ports that are in use are skipped, which ``message`` reports. ``Problem`` if ``first`` itself is in use and the user
    chose it. None: 8888 or the next port that is free.
    """

    def __init__(self, first: int | None, message: OnLine) -> None:
        self._chosen = first
        self._next = first or FIRST_PORT
        self._message = message

    def bind(self, name: str) -> list[socket.socket]:
        """The listening sockets for the source ``name``: one per address of this machine, all with the same port."""
        wanted = self._next
        for port in range(wanted, 65536):
            if bound := _bound(port):
                self._next = port + 1
                if port != wanted:
                    self._message(f"port {wanted} is in use; {name} gets port {port}")
                return bound
            if port == self._chosen:
                raise Problem(f"port {port} is in use; choose another one with --listen-port, or omit --listen-port")
        raise Problem(f"no port from {wanted} to 65535 is free; choose a lower one with --listen-port")


def _bound(port: int) -> list[socket.socket]:
    """Sockets that accept connections on ``port``; none if the port is in use."""
    bound: list[socket.socket] = []
    for host in LOOPBACK:
        try:
            bound.append(listening_socket(host, port))
        except OSError as error:
            if bound and error.errno in NO_IPV6:
                break
            for each in bound:
                each.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return []
    return bound


class LocalService:
    """Accepts connections from the start. ``ready_port`` is the port of the replica that is ready, or None."""

    def __init__(self, bound: Sequence[socket.socket], ready_port: Callable[[], int | None]) -> None:
        self.port: int = bound[0].getsockname()[1]
        self._bound = bound
        self._ready_port = ready_port
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        self._servers = [await asyncio.start_server(self._connected, sock=each) for each in self._bound]

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for each in self._bound:
            each.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            port = self._ready_port()
            if port is not None:
                await _forward(reader, writer, port)
        except OSError:
            pass  # the caller or the replica closed its connection
        except asyncio.CancelledError:
            pass  # the run ends; Python 3.11 would print a traceback for each open connection
        finally:
            writer.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copies octets in both directions until the replica closes its connection."""
    replica_reader, replica_writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_copy(reader, replica_writer))
    try:
        await _copy(replica_reader, writer)
    finally:
        sending.cancel()
        replica_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while octets := await reader.read(READ_SIZE):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
