"""HTTP clients with one connection each. A request leases a client for its whole duration.

One client with a pool of connections is slower: httpx2 goes through all connections of a pool twice per request, which
took 40 % of the CPU time of a delivery at 16 connections.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import httpx2

IDLE_S = 60.0  # a client unused for longer is closed


class ClientPool:
    """``make`` returns a new client. After ``aclose()``, a client in use is closed at the end of its request."""

    def __init__(self, make: Callable[[], httpx2.AsyncClient], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._now = now
        self._idle: deque[tuple[float, httpx2.AsyncClient]] = deque()  # (idle since, client); longest idle first
        self._closed = False

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await self._idle.pop()[1].aclose()

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The most recently used client, so that the others reach ``IDLE_S``; a new one if all are in use."""
        client = self._idle.pop()[1] if self._idle else self._make()
        try:
            yield client
        finally:
            self._idle.append((self._now(), client))
            await self._close_idle()

    async def _close_idle(self) -> None:
        """Close at most one idle client per call, and all of them if the pool is closed."""
        if self._closed:
            await self.aclose()
        elif self._now() - self._idle[0][0] > IDLE_S:
            await self._idle.popleft()[1].aclose()
