"""What a store of checkpoints does. One store object holds the checkpoint of one source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adapter.contract.formats import Json

LIMIT_S = 5.0  # of one call of a store


class StoreError(Exception):
    """The store cannot be reached, read or written. The text says why. It is one line and contains no secret."""


@dataclass(frozen=True)
class Record:
    """``version``: the number of steps that led to ``value``; see :class:`adapter.model.checkpoint.Checkpoint`."""

    version: int
    value: Json


class Store(Protocol):
    """Both methods raise ``StoreError``, at the latest after ``LIMIT_S``."""

    async def load(self) -> Record | None:
        """The record that was saved last, or None. It counts as used now: servers delete unused records in the end."""

    async def save(self, record: Record) -> int:
        """Write ``record`` if its version is higher than that of the stored one, in one atomic step.

        Returns the version that is stored then. If it is higher than that of ``record``, another process of the same
        source is further, and its record stays.
        """

    async def aclose(self) -> None:
        """Close the connection. It may wait for nothing."""


class MemoryStore:
    """Keeps the record in memory, for tests."""

    def __init__(self) -> None:
        self.record: Record | None = None

    async def load(self) -> Record | None:
        return self.record

    async def save(self, record: Record) -> int:
        if not self.record or self.record.version < record.version:
            self.record = record
        return self.record.version

    async def aclose(self) -> None:
        pass
