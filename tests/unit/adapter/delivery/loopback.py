"""A sink on a real socket of this machine that sends scripted octets; and listeners that lose packets."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import trustme

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
CLOSE = b""  # an answer: the sink closes the connection
Answer = bytes | Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_SYN_SENT = "02"  # in /proc/net/tcp


class Loopback:
    """Answers the requests of all connections in order; further ones get ``ACCEPTED``.

    ``reads_bodies``: False for a sink that answers after the head of a request and reads no more.

    ``requests``: the octets of each. ``connections``: the number of requests on each connection. ``peers``: the
    ports of their other ends.
    """

    def __init__(
        self,
        *answers: Answer,
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        reads_bodies: bool = True,
    ) -> None:
        self.requests: list[bytes] = []
        self.connections: list[int] = []
        self.peers: list[int] = []
        self.socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.socket.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}/"
        self._answers = iter(answers)
        self._context = context
        self.reads_bodies = reads_bodies
        self._tasks: set[asyncio.Task[None] | None] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Loopback]:
        async with await asyncio.start_server(self._serve, sock=self.socket, ssl=self._context):
            yield self
            for task in filter(None, self._tasks):
                task.cancel()
            for _ in range(10):  # a connection whose TLS handshake failed has no task; the loop closes it
                await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        number = len(self.connections)
        self.connections.append(0)
        self.peers.append(writer.get_extra_info("peername")[1])
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                self.requests.append(await self._request(reader))
                self.connections[number] += 1
                answer = next(self._answers, ACCEPTED)
                if callable(answer):
                    await answer(reader, writer)
                elif answer:
                    writer.write(answer)
                else:
                    writer.close()
        writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        if not self.reads_bodies:
            return head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head + await reader.readexactly(int(length.partition(b":")[2]))


def tls_sink(*answers: Answer) -> tuple[Loopback, str]:
    """A sink with https on 127.0.0.1, and the certificate of its authority."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return Loopback(*answers, context=context), authority.cert_pem.bytes().decode()


def then_close(octets: bytes) -> Answer:
    """Sends ``octets`` and closes the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(octets)
        writer.close()

    return answer


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes the connection with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def lose_packets(receiver: socket.socket) -> None:
    """The kernel drops all packets to ``receiver`` without an acknowledgement, as if its host had vanished."""
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    program = struct.pack("HL", 1, ctypes.addressof(instruction))
    receiver.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def lose_no_packets(receiver: socket.socket) -> None:
    receiver.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def connecting(port: int) -> set[int]:
    """The own ports of the sockets of this machine that have sent a SYN to ``port`` and wait for the answer."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == _SYN_SENT and row[2].endswith(f":{port:04X}")}
