"""A runtime with a fake delivery. It records the delivered events, the log and the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import PrivateAttr

from adapter.cloudevents.encode import Message, encode
from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock
from adapter.observe.metrics import Metrics
from adapter.runtime.deliveries import Drain
from adapter.runtime.runtime import Runtime
from adapter.sdk import Context, Event, Outcome, Source
from adapter.testing.clock import START, VirtualClock
from tests.deadline import DEADLINE_S
from tests.logbook import Logbook

Events = AsyncGenerator[Event, Outcome]
DRAIN = Drain(20)


class ScriptedSource(Source):
    """Yields the events of the function ``_events``."""

    _events: Callable[[Context], Events] = PrivateAttr()
    _on_shutdown: Callable[[], Awaitable[None]] | None = PrivateAttr(None)
    _workers: int = PrivateAttr(1)

    def workers(self) -> int:
        return self._workers

    def events(self, context: Context) -> Events:
        return self._events(context)

    @asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        if self._on_shutdown:
            context.on_shutdown(self._on_shutdown)
        yield


class FakeAdapter:
    """Runs a source. ``deliver`` returns the outcome of each event; the default is ``DELIVERED``."""

    def __init__(
        self,
        events: Callable[[Context], Events] | Source,
        deliver: Callable[[Event], Awaitable[Outcome]] | None = None,
        drain: Drain = DRAIN,
        workers: int = 1,
        timeouts: Timeouts = TIMEOUTS,
        on_shutdown: Callable[[], Awaitable[None]] | None = None,
        port: int = 8888,
        clock: Clock | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.port = port
        self.book, self.metrics = Logbook(), Metrics("ns", "n", "K")
        self.delivered: list[tuple[Event, Message]] = []
        self.caller_timeouts: list[float | None] = []
        self.sink_reason: str | None = None
        self.invalid: list[str] = []
        self.flushed = False
        self.was_sent_again: list[bool] = []  # for each delivered event
        self.was_cut_short = asyncio.Event()
        self._outcome_of = deliver
        source = events if isinstance(events, Source) else self._scripted(events, workers, on_shutdown)
        context = Context("/s", "uid", START, clock or VirtualClock(), self.book.log, port=port)
        context = replace(context, checkpoint=checkpoint or context.checkpoint)
        encoder = partial(encode, source="/s", namespace="ns", overrides={})
        self.runtime = Runtime(source, context, encoder, self, self.metrics, drain, timeouts)

    @staticmethod
    def _scripted(
        events: Callable[[Context], Events], workers: int, on_shutdown: Callable[[], Awaitable[None]] | None
    ) -> Source:
        source = ScriptedSource()
        source._events, source._workers, source._on_shutdown = events, workers, on_shutdown
        return source

    def cut_short(self) -> None:
        self.was_cut_short.set()

    def unready_reason(self) -> str | None:
        return self.sink_reason

    def count_invalid(self, reason: str) -> None:
        self.invalid.append(reason)

    def flush(self) -> None:
        self.flushed = True

    async def deliver(
        self,
        event: Event,
        message: Message,
        *,
        caller_timeout_s: float | None = None,
        sends_again: Callable[[Outcome], bool] = lambda outcome: False,
    ) -> Outcome:
        self.delivered.append((event, message))
        self.caller_timeouts.append(caller_timeout_s)
        outcome = await self._outcome_of(event) if self._outcome_of else Outcome.DELIVERED
        self.was_sent_again.append(sends_again(outcome))
        return outcome

    async def until(self, count: int) -> None:
        """Wait until ``count`` events were delivered."""
        await until(lambda: len(self.delivered) >= count)

    def count(self, outcome: str) -> float:
        labels = 'kind="K",name="n",namespace="ns"'
        start = f'source_events_total{{{labels},outcome="{outcome}"}} '
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.removeprefix(start))

    def in_flight(self) -> float:
        start = "source_in_flight{"
        (line,) = [line for line in self.metrics.render().decode().splitlines() if line.startswith(start)]
        return float(line.rpartition(" ")[2])


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not met():  # noqa: ASYNC110 -- the condition has no event of asyncio
            await asyncio.sleep(0.001)


def within_deadline(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


async def wait_for_ever() -> None:
    await asyncio.Event().wait()
