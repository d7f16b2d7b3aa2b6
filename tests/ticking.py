"""Runs of a source with ticks under a virtual clock, from one process to the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapter.contract.formats import Json
from adapter.model.checkpoint import Checkpoint
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

UID = "6f2c"


class _Over(Exception):
    """The process ends: it would sleep until after its end."""


class _Until(VirtualClock):
    """A clock that ends the process at ``end``."""

    def __init__(self, now: datetime, end: datetime) -> None:
        super().__init__(now)
        self.end = end

    async def sleep_until(self, deadline: datetime) -> None:
        if max(deadline, self.now()) >= self.end:
            self.advance((self.end - self.now()).total_seconds() if self.now() < self.end else 0)
            raise _Over
        await super().sleep_until(deadline)


@dataclass(frozen=True)
class Sent:
    event: Event
    time: datetime
    at: datetime
    worker: int


class Life:
    """A source from its creation on. Each :meth:`process` begins when the last one has ended.

    ``stored``: the value of the checkpoint in a store that outlives each process. ``keeps`` is False for a source
    without a store.
    """

    def __init__(
        self, make: Callable[[], Source], *, created: datetime = START, workers: int = 1, keeps: bool = True
    ) -> None:
        self.make, self.created, self.workers, self.keeps = make, created, workers, keeps
        self.now = created
        self.stored: Json = None
        self.version = 0
        self.sent: list[Sent] = []
        self.skipped: list[tuple[int, datetime, int]] = []  # count, time and worker
        self.book = Logbook()
        self.only: int | None = None  # the only worker that runs
        self.on_sent: Callable[[datetime, datetime], object] = lambda time, now: None
        self.on_skipped: Callable[[int, datetime], object] = lambda count, now: None

    @property
    def count_skipped(self) -> int:
        return sum(count for count, _, _ in self.skipped)

    def process(
        self,
        seconds: float,
        sink: Callable[[VirtualClock], Outcome] = lambda clock: Outcome.DELIVERED,
    ) -> list[Sent]:
        """What a process sends that runs for ``seconds``. ``sink`` answers; it may set the clock."""
        before, end = len(self.sent), self.now + timedelta(seconds=seconds)
        checkpoint = Checkpoint(is_shared=self.keeps)
        if self.keeps:
            checkpoint.restore(self.version, self.stored)
        workers = range(self.workers) if self.only is None else [self.only]
        clocks = [asyncio.run(self._work(worker, _Until(self.now, end), checkpoint, sink)) for worker in workers]
        self.now = max(clock.now() for clock in clocks)
        self.version, self.stored = checkpoint.version, checkpoint.load()
        return self.sent[before:]

    async def _work(
        self, worker: int, clock: _Until, checkpoint: Checkpoint, sink: Callable[[VirtualClock], Outcome]
    ) -> _Until:
        def count_missed(count: int) -> None:
            self.skipped.append((count, clock.now(), worker))
            self.on_skipped(count, clock.now())

        more: dict[str, Any] = {"count_missed": count_missed, "checkpoint": checkpoint}
        context = Context(UID, UID, self.created, clock, self.book.log, worker=worker, workers=self.workers, **more)
        events = self.make().events(context)
        with contextlib.suppress(_Over, StopAsyncIteration):
            event = await anext(events)
            while True:
                assert event.time
                self.sent.append(Sent(event, event.time, clock.now(), worker))
                self.on_sent(event.time, clock.now())
                event = await events.asend(sink(clock))
        await events.aclose()
        return clock

    def pause(self, seconds: float) -> None:
        """No process runs."""
        self.now += timedelta(seconds=seconds)
