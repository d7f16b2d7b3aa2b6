"""The life of one source in a test: its runtime, and what it sent, logged and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, ClassVar

from adapter.cloudevents.encode import Message
from adapter.observe.metrics import Metrics
from adapter.runtime import Drain, Runtime, context_of
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing.clock import START, VirtualClock
from tests.logbook import Logbook

Events = AsyncGenerator[Event, Outcome]
DEADLINE_S = 10
PATIENT = Drain(20)


class Life:
    """A runtime around ``events``; ``deliver`` decides on each event."""

    def __init__(
        self,
        events: Callable[[Context], Events],
        deliver: Callable[[Event], Awaitable[Outcome]] | None = None,
        drain: Drain = PATIENT,
        max_in_flight: int = 1,
    ) -> None:
        lanes = max_in_flight

        class Scripted(Source):
            max_in_flight: ClassVar[int] = lanes

            def events(self, context: Context) -> Events:
                return events(context)

        self.book, self.metrics = Logbook(), Metrics("ns", "n", "K")
        context = context_of("/s", "uid", START, VirtualClock(), self.book.log, self.metrics)
        self.delivered: list[tuple[Event, Message]] = []
        self._decide = deliver
        self.runtime = Runtime(
            Scripted(), context, self._deliver, self.metrics, namespace="ns", overrides={}, drain=drain
        )

    async def _deliver(self, event: Event, message: Message) -> Outcome:
        self.delivered.append((event, message))
        return await self._decide(event) if self._decide else Outcome.DELIVERED

    async def until(self, count: int) -> None:
        """So many events were delivered."""
        async with asyncio.timeout(DEADLINE_S):
            while len(self.delivered) < count:  # noqa: ASYNC110 -- what is delivered is no event of asyncio's
                await asyncio.sleep(0.001)

    def count(self, outcome: str) -> float:
        who = 'kind="K",name="n",namespace="ns"'
        start = f'source_events_total{{{who},outcome="{outcome}"}} '
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.removeprefix(start))

    def in_flight(self) -> float:
        start = "source_in_flight{"
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.rpartition(" ")[2])


def within_deadline(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def for_ever() -> None:
    await asyncio.Event().wait()
