"""The limits of a server, and what its connections share: one budget of connections and bytes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from adapter.serving.messages import Refusal, Request, Response, Stream
from adapter.serving.wire import READ_SIZE

LINGER_S = 1.0  # to read after a refusal
SMALL_SIZE = 8 * 1024  # bytes of a connection that are accepted even beyond ``Limits.total_size``, as of a probe
TOO_MUCH = "too many requests in flight"  # the reason of a 503 beyond ``Limits.total_size``

Handler = Callable[[Request], Awaitable[Response | Stream]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A request beyond a limit is not handled. It gets the status in brackets, and the connection ends."""

    head_s: float  # seconds for a request head, from the connection or from its first byte (no response)
    body_s: float  # seconds for a body after its head (408)
    keep_alive_s: float  # seconds from a response to the next request, or until the client reads it (no response)
    head_size: int = 64 * 1024  # bytes of a head (431)
    body_size: int = 1024 * 1024  # bytes of a body (413)
    body_sizes: Mapping[str, int] = field(default_factory=dict)  # path -> its own ``body_size``
    total_size: int = 24 * 1024 * 1024  # bytes of all requests and unread responses in memory (503)
    connections: int = 512  # open ones; one more closes another (see Connections.add) or is refused (503)
    new_age_s: Callable[[], float] = lambda: math.inf  # seconds until a response closes a new connection

    def seconds(self, state: str) -> float:
        """How long a connection may stay in one state."""
        return {"head": self.head_s, "body": self.body_s, "linger": LINGER_S}.get(state, self.keep_alive_s)


SINK_LIMITS = Limits(  # of sinks for developers and tests, which may wait for minutes
    head_s=600,
    body_s=600,
    keep_alive_s=600,
    body_size=16 * 1024 * 1024,
    total_size=512 * 1024 * 1024,
    connections=16 * 1024,
)


class Member(Protocol):
    """A connection."""

    @property
    def is_new(self) -> bool:
        """The client has sent no complete request yet."""

    @property
    def waits_for_client(self) -> bool:
        """No request is being handled: the client is silent, sends a request, or does not read a response."""

    def shutdown(self) -> None: ...

    def abort(self) -> None: ...


@dataclass(eq=False)
class Connections:
    """What the connections of one server share."""

    handler: Handler
    limits: Limits
    refused: Callable[[Refusal], Response] = Refusal.response  # the response to a request beyond a limit
    opened: dict[Member, None] = field(default_factory=dict)  # the one whose last response is oldest comes first
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # asyncio itself keeps only weak references
    streams: set[Member] = field(default_factory=set)  # those whose response is a stream
    none_open: asyncio.Event = field(default_factory=asyncio.Event)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_SIZE)))
    size: int = 0  # bytes of all requests and unread responses in memory
    draining: bool = False  # each response closes its connection

    def add(self, connection: Member) -> bool:
        """False if there is no room.

        A new connection takes the place of one that waits for its client: first of the oldest that has sent no request
        yet, then of the one that has been idle for longest. So the probes of the kubelet are answered during an attack.
        """
        self.none_open.clear()
        if len(self.opened) >= self.limits.connections:
            waiting = next((each for each in self.opened if each.is_new and each.waits_for_client), None)
            waiting = waiting or next((each for each in self.opened if each.waits_for_client), None)
            if waiting:
                del self.opened[waiting]
                waiting.abort()
        self.opened[connection] = None
        return len(self.opened) <= self.limits.connections

    def responded(self, connection: Member) -> None:
        """Its last response is the newest."""
        if connection in self.opened:
            del self.opened[connection]
            self.opened[connection] = None

    def remove(self, connection: Member) -> None:
        self.opened.pop(connection, None)
        self.streams.discard(connection)
        if not self.opened:
            self.none_open.set()

    def end_streams(self) -> None:
        for connection in list(self.streams):
            connection.abort()

    @property
    def is_full(self) -> bool:
        return self.size > self.limits.total_size
