"""A client of its own for each request under way, so that each has one connection, which it keeps.

httpx2's pool looks at all its connections, twice for each request: with 16 of them that was 40 % of what a delivery
cost. A client whose connection nobody needed for a while goes.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import httpx2

IDLE_S = 60.0


class ClientPool:
    """``make`` gives a new one. Once closed, those in use go with their request."""

    def __init__(self, make: Callable[[], httpx2.AsyncClient], now: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._now = now
        self._idle: deque[tuple[float, httpx2.AsyncClient]] = deque()  # since when; the longest idle first
        self._closed = False

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await self._idle.pop()[1].aclose()

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The one used last, so that the others grow old."""
        client = self._idle.pop()[1] if self._idle else self._make()
        try:
            yield client
        finally:
            self._idle.append((self._now(), client))
            await self._let_go()

    async def _let_go(self) -> None:
        """Those nobody needs, one at a time."""
        if self._closed:
            await self.aclose()
        elif self._now() - self._idle[0][0] > IDLE_S:
            await self._idle.popleft()[1].aclose()
