"""Which client a request leases, and when an idle client is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest

from adapter.net.client_pool import IDLE_S, ClientPool


class Pool:
    """``made``: all clients of the pool; ``now``: its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made: list[httpx2.AsyncClient] = []
        self.clients = ClientPool(self._make, lambda: self.now)

    def _make(self) -> httpx2.AsyncClient:
        self.made.append(httpx2.AsyncClient())
        return self.made[-1]

    @property
    def closed(self) -> list[bool]:
        return [client.is_closed for client in self.made]


def with_pool(test: Callable[[Pool], Awaitable[None]]) -> None:
    async def run() -> None:
        pool = Pool()
        await test(pool)
        await pool.clients.aclose()
        assert all(pool.closed)

    asyncio.run(run())


async def use(pool: Pool, count: int) -> list[httpx2.AsyncClient]:
    """Lease ``count`` clients at the same time."""
    async with AsyncExitStack() as stack:
        return [await stack.enter_async_context(pool.clients.lease()) for _ in range(count)]


def test_pool_makes_as_many_clients_as_are_leased_at_once_and_reuses_them() -> None:
    async def test(pool: Pool) -> None:
        for _ in range(3):
            assert len(set(map(id, await use(pool, 3)))) == 3
        assert len(pool.made) == 3

    with_pool(test)


def test_most_recently_used_client_is_leased_next_and_idle_ones_are_closed() -> None:
    async def test(pool: Pool) -> None:
        await use(pool, 3)
        [last] = await use(pool, 1)
        pool.now = IDLE_S + 1
        for closed in (1, 2, 2):
            assert await use(pool, 1) == [last]
            assert sum(pool.closed) == closed
        assert not last.is_closed

    with_pool(test)


def test_last_idle_client_is_never_closed() -> None:
    async def test(pool: Pool) -> None:
        first = await use(pool, 1)
        pool.now = 10 * IDLE_S
        assert await use(pool, 1) == first
        assert pool.closed == [False]

    with_pool(test)


def test_client_returns_to_the_pool_after_a_failed_request() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(ValueError, match="failed"):
            async with pool.clients.lease():
                raise ValueError("failed")
        await use(pool, 1)
        assert len(pool.made) == 1

    with_pool(test)


def test_leased_client_is_closed_at_the_end_of_its_request_once_the_pool_is_closed() -> None:
    async def test(pool: Pool) -> None:
        async with pool.clients.lease() as used:
            await use(pool, 1)
            await pool.clients.aclose()
            assert pool.closed == [False, True]
        assert used.is_closed

    with_pool(test)
