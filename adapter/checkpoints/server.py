"""A server that keeps a checkpoint: its addresses, the trust in it, one connection, and the reasons of failures.

A failure on a connection that was used before is tried again on a new one: the server may have closed it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from adapter.checkpoints.store import LIMIT_S, Record, StoreError
from adapter.contract.egress import DEFAULT_EGRESS, Egress
from adapter.net.tls import add_bundles, tls_context

T = TypeVar("T")
Connection = TypeVar("Connection")

RETENTION_DAYS = 90  # unused records are deleted
IDLE_S = 90.0  # a connection unused for so long is closed: servers and load balancers limit both time and number


@dataclass(frozen=True, kw_only=True)
class Server:
    """The parts of a URL, and the settings of the platform team for connections."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    database: str
    egress: Egress = DEFAULT_EGRESS
    trust_bundles: Path | None = None
    limit_s: float = LIMIT_S
    idle_s: float = IDLE_S

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def addresses(self) -> list[str]:
        """Looks up the host. Connect to these addresses, not to the name: another lookup may give other ones."""
        if problem := self.egress.host_problem(self.host):
            raise StoreError(problem)
        found = await asyncio.get_running_loop().getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        problems = [self.egress.address_problem(address) for address in addresses]
        if all(problems):
            raise StoreError(str(problems[0]))
        return [address for address, problem in zip(addresses, problems, strict=True) if not problem]

    def verifying_context(self) -> ssl.SSLContext:
        """Checks that a trusted CA signed the certificate and that it has the name of the host."""
        context = tls_context()
        add_bundles(context, self.trust_bundles)
        return self.named(context)

    def named(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Use the name of the host for TLS, although the driver connects to an address."""
        wrap, name = context.wrap_bio, self.host.rstrip(".")

        def wrap_bio(
            incoming: ssl.MemoryBIO,
            outgoing: ssl.MemoryBIO,
            server_side: bool = False,
            server_hostname: str | bytes | None = None,
            session: ssl.SSLSession | None = None,
        ) -> ssl.SSLObject:
            return wrap(incoming, outgoing, server_side, name, session)

        context.wrap_bio = wrap_bio  # type: ignore[method-assign]  # of this object only
        return context


class ServerStore(ABC, Generic[Connection]):
    """A store with one connection, which is opened when it is needed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._connection: Connection | None = None
        self._free = asyncio.Lock()  # an answer must not be read by another call
        self._idle: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    @abstractmethod
    async def connect(self, address: str) -> Connection:
        """Connect to one address of the server and log in."""

    @abstractmethod
    async def disconnect(self, connection: Connection) -> None:
        """Close it. It waits for nothing."""

    @abstractmethod
    def reason(self, error: Exception) -> str:
        """Why the server refused or failed, without a text of the server; empty if only the connection failed."""

    async def aclose(self) -> None:
        await self._drop()

    async def call(self, operation: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._free:
            return await self._limited(operation)

    async def _limited(self, operation: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self.server.limit_s) as limit:
                result = await self._call(operation)
        except Exception as error:
            await self._drop()
            if isinstance(error, StoreError):
                raise
            late = f"no answer within {self.server.limit_s:g} s"
            raise StoreError(f"{self.server}: {late if limit.expired() else self._reason(error)}") from None
        except BaseException:  # cancelled: an answer may still arrive on the connection
            await self._drop()
            raise
        self._idle = asyncio.get_running_loop().call_later(self.server.idle_s, self._on_idle)
        return result

    async def _call(self, operation: Callable[[Connection], Awaitable[T]]) -> T:
        if self._idle:
            self._idle.cancel()
        if self._connection is not None:
            try:
                return await operation(self._connection)
            except Exception:
                await self._drop()
        self._connection = await self._connect()
        return await operation(self._connection)

    async def _connect(self) -> Connection:
        addresses = await self.server.addresses()
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(self.server.limit_s / len(addresses)):
                    return await self.connect(address)
            except Exception as error:
                if self.reason(error):
                    raise  # the server has answered
        return await self.connect(addresses[-1])

    def _on_idle(self) -> None:
        self._closing = asyncio.create_task(self._drop())

    async def _drop(self) -> None:
        if self._idle:
            self._idle.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            await self.disconnect(connection)

    def _reason(self, error: Exception) -> str:
        return self.reason(error) or next(filter(None, map(_os_reason, _causes(error))), "the connection failed")


def record_of(name: str, version: int | bytes, text: str | bytes) -> Record:
    """``name``: how an operator finds the record."""
    try:
        return Record(int(version), json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise StoreError(f"{name} is damaged; delete it, and the source starts without a checkpoint") from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _os_reason(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {error.verify_message.lower().rstrip('.')}"
        case ssl.SSLError():
            reason: str | None = getattr(error, "reason", None)  # None: the error of add_bundles()
            return f"TLS failed: {reason.lower().replace('_', ' ')}" if reason else str(error.args[0])
        case socket.gaierror():
            return f"host name not resolved: {error.strerror}"
        case UnicodeError():
            return "host name not resolved: the name is not valid"
        case OSError() if error.errno:
            return os.strerror(error.errno).lower()
    return ""
