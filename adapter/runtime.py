"""The life of a source: pull an event, stamp it, deliver it, send its outcome back; drain when told to stop.

An event that cannot be sent is its source's mistake, but no reason to stop the events that can: it is an error in the
log, counted as rejected, and the source hears so. An exception of the source ends the adapter.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from adapter.events import Message, encode
from adapter.logs import Digest
from adapter.metrics import MISSED, Metrics
from adapter.source import Clock, Context, Event, Outcome, Source

# Together less than the pod's grace period of 30 s.
DRAIN_S = 20.0  # for the event in hand to arrive
NOTE_S = 1.0  # for the source to take note of its outcome: move a cursor, answer a caller
CLOSE_S = 5.0  # for the source to clean up


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, deadline: datetime) -> None:
        """Reads the clock again after each sleep: timers may fire early, and clocks are set."""
        await asyncio.sleep(0)
        while (remaining_s := (deadline - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 -- time is no event
            await asyncio.sleep(remaining_s)


class Deliver(Protocol):
    async def __call__(self, event: Event, message: Message) -> Outcome: ...


class Runtime:
    """Runs one source until it is stopped. Exceptions of the source's own code come out of :meth:`run`."""

    def __init__(
        self,
        source: Source,
        context: Context,
        deliver: Deliver,
        metrics: Metrics,
        *,
        namespace: str,
        overrides: Mapping[str, str],
        drain_s: float = DRAIN_S,
    ) -> None:
        self._source = source
        self._context = context
        self._deliver = deliver
        self._metrics = metrics
        self._namespace = namespace
        self._overrides = overrides
        self._drain_s = drain_s
        self._digest = Digest(context.log, context.clock.now)
        self._stop = asyncio.Event()
        self._in_hand: Event | None = None
        self._settled = asyncio.Event()  # the event that was in hand when told to stop is no longer

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """No event is pulled any more; the one in hand has ``drain_s`` to arrive."""
        self._stop.set()

    async def run(self) -> None:
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await self._drain(work)
        stopped.cancel()
        if work.done() and not work.cancelled():
            work.result()

    async def _drain(self, work: asyncio.Task[None]) -> None:
        if self._in_hand is not None:
            settled = asyncio.create_task(self._settled.wait())
            await asyncio.wait({work, settled}, timeout=self._drain_s, return_when=asyncio.FIRST_COMPLETED)
            settled.cancel()
        if self._settled.is_set():
            await asyncio.wait({work}, timeout=NOTE_S)
        if self._in_hand is not None:
            self._context.log.warning(
                "stopped with an event undelivered", extra={"fields": {"event_id": self._in_hand.id}}
            )
        work.cancel()
        await asyncio.wait({work}, timeout=CLOSE_S)

    async def _work(self) -> None:
        events = self._source.events(self._context)
        try:
            event = await anext(events)
            while True:
                event = await events.asend(await self._handle(event))
                if self.stopping:
                    return  # it was made while the outcome went back, and is not taken
        except StopAsyncIteration:
            self._context.log.info("the source has no more events")
            await self._stop.wait()  # not the end of the process: Kubernetes would start it again
        finally:
            await _close(events)

    async def _handle(self, event: Event) -> Outcome:
        self._in_hand = event = stamp(event, self._context)
        try:
            outcome = await self._send(event)
            self._metrics.count_events(outcome.value)
            return outcome
        finally:
            self._in_hand = None
            if self.stopping:
                self._settled.set()

    async def _send(self, event: Event) -> Outcome:
        try:
            message = encode(event, source=self._context.source, namespace=self._namespace, overrides=self._overrides)
        except ValueError as error:
            self._digest.error(
                "event cannot be sent: its source must make it otherwise",
                event_id=event.id,
                event_type=event.type,
                reason=str(error),
            )
            return Outcome.REJECTED
        with self._metrics.in_flight.track_inprogress():
            return await self._deliver(event, message)


def context_of(
    source: str, uid: str, created: datetime, clock: Clock, log: logging.Logger, metrics: Metrics
) -> Context:
    return Context(source, uid, created, clock, log, missed=lambda count: metrics.count_events(MISSED, count))


def stamp(event: Event, context: Context) -> Event:
    """Give the event the id and time that all attempts carry, where the source left them out."""
    if not isinstance(event, Event):
        raise TypeError(f"the source yielded {type(event).__name__}; yield an Event")
    return replace(
        event,
        id=f"{context.uid}-{uuid.uuid4()}" if event.id is None else event.id,
        time=context.clock.now() if event.time is None else event.time,
    )


async def _close(events: AsyncGenerator[Event, Outcome]) -> None:
    if hasattr(events, "aclose"):  # an author may return any object with anext and asend
        await events.aclose()
