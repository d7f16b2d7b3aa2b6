"""Stores whose answers a test controls."""

from __future__ import annotations

import asyncio

from adapter.checkpoints.store import MemoryStore, Record, StoreError


class Faulty(MemoryStore):
    """Raises ``error`` while it is set. ``saved``: the records of all calls of save that reached it."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error
        self.loads = 0
        self.saved: list[Record] = []

    async def load(self) -> Record | None:
        self.loads += 1
        if self.error:
            raise self.error
        return await super().load()

    async def save(self, record: Record) -> int:
        self.saved.append(record)
        if self.error:
            raise self.error
        return await super().save(record)


class Slow(MemoryStore):
    """Each call of save waits for one ``answers.release()``. ``begun``: their records."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Semaphore(0)
        self.begun: list[Record] = []

    async def save(self, record: Record) -> int:
        self.begun.append(record)
        await self.answers.acquire()
        return await super().save(record)


DOWN = StoreError("no connection to db:5432: connection refused")
