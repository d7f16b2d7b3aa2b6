"""The TLS handshake of a connection. It counts as a connection and has a time limit."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from adapter.serving.connection import Connection
from adapter.serving.limits import LINGER_S, Connections
from adapter.serving.wire import READ_SIZE


class Handshake(asyncio.Protocol):
    """Becomes the connection that ``connect`` makes. Its argument: whether the client has shown a certificate.

    ``failed`` gets why the server could not finish the handshake, in a few words.
    """

    is_new = waits_for_client = True  # for Connections: a new connection may take the place of this one
    _transport: asyncio.Transport

    def __init__(
        self,
        shared: Connections,
        context: ssl.SSLContext,
        connect: Callable[[bool], Connection],
        failed: Callable[[str], None],
    ) -> None:
        self._shared, self._context, self._connect, self._failed = shared, context, connect, failed
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.pause_reading()  # start_tls() resumes it
        if not self._shared.add(self):
            self.ended()
            return transport.abort()
        self._task = asyncio.get_running_loop().create_task(self._shake())
        self._shared.tasks.add(self._task)
        self._task.add_done_callback(self._shared.tasks.discard)

    def shutdown(self) -> None:
        self.abort()

    def end_stream(self) -> None:
        """A handshake has no response."""

    def abort(self) -> None:
        """Close the connection, and end the handshake."""
        self._transport.abort()
        if self._task:
            self._task.cancel()

    def ended(self) -> None:
        """The connection is closed, or has another protocol now."""
        self._shared.remove(self)

    async def _shake(self) -> None:
        early, seconds = Early(), self._shared.limits.head_s
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport,
                early,
                self._context,
                server_side=True,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=LINGER_S,
            )
        except ConnectionAbortedError:
            return self._failed(f"it took longer than {seconds:g} s")
        except ssl.SSLError as error:
            return self._failed(_problem(error))
        except OSError:
            return  # the client has closed the connection
        finally:
            self.ended()
        if encrypted and not encrypted.is_closing():
            certificate = encrypted.get_extra_info("peercert")
            early.continue_with(self._connect(bool(certificate)), encrypted)


def _problem(error: ssl.SSLError) -> str:
    """In lower case, like ``certificate verify failed: certificate has expired``."""
    details = (error.reason or "no TLS", getattr(error, "verify_message", ""))
    return ": ".join(filter(None, details)).lower().replace("_", " ")


class Early(asyncio.Protocol):
    """Keeps the bytes that follow the handshake at once, until the connection can take them."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ended = False

    def data_received(self, data: bytes) -> None:
        self._bytes += data

    def eof_received(self) -> None:
        self._ended = True

    def continue_with(self, connection: Connection, transport: asyncio.Transport) -> None:
        transport.set_protocol(connection)
        connection.connection_made(transport)
        for start in range(0, len(self._bytes), READ_SIZE):
            part = self._bytes[start : start + READ_SIZE]
            connection.get_buffer(len(part))[: len(part)] = part
            connection.buffer_updated(len(part))
        if self._ended:
            connection.eof_received()
