"""Who sends next, with what connection, and how long one is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import httpx2
import pytest

from adapter.net.client_pool import IDLE_S, ClientPool


class Pool:
    """``made``: all clients there were; ``now`` is theirs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.made: list[httpx2.AsyncClient] = []
        self.clients = ClientPool(self._make, lambda: self.now)

    def _make(self) -> httpx2.AsyncClient:
        self.made.append(httpx2.AsyncClient())
        return self.made[-1]

    @property
    def closed(self) -> list[bool]:
        return [it.is_closed for it in self.made]


def with_pool(test: Callable[[Pool], Awaitable[None]]) -> None:
    async def run() -> None:
        pool = Pool()
        await test(pool)
        await pool.clients.aclose()
        assert all(pool.closed)

    asyncio.run(run())


async def use(pool: Pool, count: int) -> list[httpx2.AsyncClient]:
    """``count`` at once."""
    async with AsyncExitStack() as stack:
        return [await stack.enter_async_context(pool.clients.lease()) for _ in range(count)]


def test_there_are_as_many_as_are_used_at_once_and_they_are_used_again() -> None:
    async def test(pool: Pool) -> None:
        for _ in range(3):
            assert len(set(map(id, await use(pool, 3)))) == 3
        assert len(pool.made) == 3

    with_pool(test)


def test_the_one_used_last_is_used_next_and_the_others_go_in_time() -> None:
    async def test(pool: Pool) -> None:
        await use(pool, 3)
        [last] = await use(pool, 1)
        pool.now = IDLE_S + 1
        for closed in (1, 2, 2):
            assert await use(pool, 1) == [last]
            assert sum(pool.closed) == closed
        assert not last.is_closed

    with_pool(test)


def test_one_that_is_used_seldom_stays() -> None:
    async def test(pool: Pool) -> None:
        first = await use(pool, 1)
        pool.now = 10 * IDLE_S
        assert await use(pool, 1) == first
        assert pool.closed == [False]

    with_pool(test)


def test_one_comes_back_from_a_request_that_failed() -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(ValueError, match="failed"):
            async with pool.clients.lease():
                raise ValueError("failed")
        await use(pool, 1)
        assert len(pool.made) == 1

    with_pool(test)


def test_those_in_use_at_the_end_go_with_their_request() -> None:
    async def test(pool: Pool) -> None:
        async with pool.clients.lease() as used:
            await use(pool, 1)
            await pool.clients.aclose()
            assert pool.closed == [False, True]
        assert used.is_closed

    with_pool(test)
