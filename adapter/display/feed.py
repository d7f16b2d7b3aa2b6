"""The newest events for the page, the counts of all events, and who watches. Limited in number and in bytes."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from adapter.display.record import Record

KEPT_EVENTS = 500
KEPT_SIZE = 4 * 1024 * 1024  # bytes
RATE_SECONDS = 60


@dataclass
class Counts:
    total: int = 0
    failed: int = 0  # answered with a status other than 2xx, or not at all
    dead_letters: int = 0


class Feed:
    """``clock`` gives seconds, like ``time.monotonic``."""

    def __init__(self, clock: Callable[[], float], events: int = KEPT_EVENTS, size: int = KEPT_SIZE) -> None:
        self.clock = clock
        self.session = secrets.token_hex(4)  # the numbers of events begin again with each process
        self.counts = Counts()
        self.watching: set[asyncio.Event] = set()  # set at each new event
        self._events, self._size = events, size
        self._kept: deque[Record] = deque()
        self._kept_size = 0
        self._seconds: dict[int, int] = {}  # second of the clock -> events in it, oldest first

    @property
    def next_number(self) -> int:
        return self.counts.total + 1

    def add(self, record: Record) -> None:
        self.counts.total += 1
        self.counts.failed += record.is_failed
        self.counts.dead_letters += bool(record.dead_letter)
        second = int(self.clock())
        self._seconds[second] = self._seconds.get(second, 0) + 1
        if len(self._seconds) > RATE_SECONDS + 1:
            del self._seconds[next(iter(self._seconds))]
        self._kept.append(record)
        self._kept_size += record.size
        while len(self._kept) > self._events or self._kept_size > self._size:
            self._kept_size -= self._kept.popleft().size
        for new in self.watching:
            new.set()

    def since(self, number: int) -> list[Record]:
        """The kept records with a higher number, oldest first."""
        found = []
        for record in reversed(self._kept):
            if record.number <= number:
                break
            found.append(record)
        return found[::-1]

    def rates(self) -> list[int]:
        """How many events arrived in each of the last 60 whole seconds; the newest last."""
        now = int(self.clock())
        return [self._seconds.get(second, 0) for second in range(now - RATE_SECONDS, now)]
