"""What a store of checkpoints does. One store object holds the checkpoint of one source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapter.contract.formats import Json


class StoreError(Exception):
    """The store cannot be reached, read or written. The text says why. It is one line and contains no secret."""


@dataclass(frozen=True)
class Record:
    """``version``: the number of steps that led to ``value``; see :class:`adapter.model.checkpoint.Checkpoint`."""

    version: int
    value: Json


class Store(Protocol):
    """Both methods raise ``StoreError``, at the latest after the timeout of the store."""

    async def load(self) -> Record | None:
        """The record that was saved last, or None."""

    async def save(self, record: Record) -> bool:
        """Write ``record`` if its version is higher than that of the stored one, in one atomic step.

        False if it is not: another process of the same source is further, and its record stays.
        """

    async def aclose(self) -> None: ...


class MemoryStore:
    """Keeps the record in memory, for tests."""

    def __init__(self) -> None:
        self.record: Record | None = None

    async def load(self) -> Record | None:
        return self.record

    async def save(self, record: Record) -> bool:
        if self.record and self.record.version >= record.version:
            return False
        self.record = record
        return True

    async def aclose(self) -> None:
        pass
