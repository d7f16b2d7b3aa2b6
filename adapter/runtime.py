"""The life of a source: pull an event, stamp it, deliver it, send its outcome back; drain when told to stop.

An event that cannot be sent is its source's mistake, but no reason to stop the events that can: it is an error in the
log, counted as rejected, and the source hears so. An exception of the source ends the adapter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from adapter.cloudevents.encode import Message, encode
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source
from adapter.observe.metrics import SKIPPED, Metrics, outcome_of
from adapter.serving.logs import LogThrottle

LEAVE_S = TIMEOUTS.listener_drain_s
NOTE_S = 1.0  # for the source to take note of its outcome: move a cursor, answer a caller
CLOSE_S = 5.0  # for the source to clean up
STARTING = "starting"


class Deliver(Protocol):
    async def __call__(self, event: Event, message: Message) -> Outcome: ...


@dataclass(frozen=True)
class Drain:
    """After SIGTERM: ``patience_s`` for events in hand; then ``cut_short()``, and ``last_s`` for a last attempt."""

    patience_s: float
    last_s: float = 0.0
    cut_short: Callable[[], None] = lambda: None


class Runtime:
    """Runs one source until it is stopped. Exceptions of the source's own code come out of :meth:`run`.

    One event is under way at a time, so order is kept; a source with ``max_in_flight`` has as many lanes side by side.
    """

    def __init__(
        self,
        source: Source,
        context: Context,
        deliver: Deliver,
        metrics: Metrics,
        *,
        namespace: str,
        overrides: Mapping[str, str],
        drain: Drain,
    ) -> None:
        self._source = source
        self._context = replace(context, trouble=self._note_trouble)
        self._trouble: str | None = STARTING
        self._deliver = deliver
        self._metrics = metrics
        self._namespace = namespace
        self._overrides = overrides
        self._drain_by = drain
        self._digest = LogThrottle(context.log, context.clock.now)
        self._told = asyncio.Event()  # to stop
        self._stop = asyncio.Event()
        self._in_hand: dict[int, Event] = {}  # lane -> event
        self._settled = asyncio.Event()  # what was in hand when told to stop is no longer

    @property
    def stopping(self) -> bool:
        return self._told.is_set()

    @property
    def trouble(self) -> str | None:
        """Why the source says that it is not ready."""
        return self._trouble

    def _note_trouble(self, reason: str | None) -> None:
        self._trouble = reason

    def stop(self) -> None:
        """Once the source has taken leave, no event is pulled any more; those in hand have the drain's time."""
        self._told.set()
        if type(self._source).on_shutdown is Source.on_shutdown:
            self._stop.set()  # now, not at the loop's next turn: what is made meanwhile is not taken

    async def run(self) -> None:
        context = replace(self._context, stopping=self._stop.is_set)
        async with self._source.running(context):
            await self._run()

    async def _run(self) -> None:
        lanes = getattr(self._source, "max_in_flight", 1)
        work = {asyncio.create_task(self._work(lane, lanes)) for lane in range(lanes)}
        stopped = asyncio.create_task(self._until_stopped())
        await asyncio.sleep(0)  # each lane has begun, and a source that is not ready yet has said so
        if self._trouble == STARTING:
            self._note_trouble(None)
        done, _ = await asyncio.wait({*work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stopped in done:
            await self._drain(work)
        for task in {*work, stopped}:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for task in (*work, stopped):
            if task.done() and not task.cancelled():
                task.result()

    async def _until_stopped(self) -> None:
        await self._told.wait()
        if self._stop.is_set():
            return
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_S):
                    await self._source.on_shutdown()
        finally:
            self._stop.set()

    async def _drain(self, work: set[asyncio.Task[None]]) -> None:
        if self._in_hand:
            await self._settle(self._drain_by.patience_s)
        if self._in_hand:
            self._drain_by.cut_short()
            await self._settle(self._drain_by.last_s + NOTE_S)
        if self._settled.is_set():
            await asyncio.wait(work, timeout=NOTE_S)
        for event in self._in_hand.values():
            fields = {"event_id": event.id, "event_type": event.type}
            self._context.log.error("event lost: stopped with it undelivered", extra={"fields": fields})
            self._metrics.count_events(outcome_of(Outcome.GAVE_UP, returns=event.returns))
        for task in work:
            task.cancel()
        await asyncio.wait(work, timeout=CLOSE_S)

    async def _settle(self, seconds: float) -> None:
        """Until nothing is in hand any more, at most for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)

    async def _work(self, lane: int, lanes: int) -> None:
        events = self._source.events(replace(self._context, lane=lane, lanes=lanes))
        try:
            event = await anext(events)
            while True:
                event = await events.asend(await self._handle(lane, event))
                if self._stop.is_set():
                    return  # it was made while the outcome went back, and is not taken
        except StopAsyncIteration:
            self._context.log.info("the source has no more events")
            await self._stop.wait()  # not the end of the process: Kubernetes would start it again
        finally:
            await close(events)

    async def _handle(self, lane: int, event: Event) -> Outcome:
        self._in_hand[lane] = event = stamp(event, self._context)
        try:
            outcome = await self._send(event)
            self._metrics.count_events(outcome_of(outcome, returns=event.returns))
            return outcome
        finally:
            del self._in_hand[lane]
            if self._stop.is_set() and not self._in_hand:
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
        self._metrics.in_flight += 1
        try:
            return await self._deliver(event, message)
        finally:
            self._metrics.in_flight -= 1


def context_of(
    source: str, uid: str, created: datetime, clock: Clock, log: logging.Logger, metrics: Metrics, **more: Any
) -> Context:
    """``more``: other fields of a Context."""
    missed = partial(metrics.count_events, SKIPPED)
    return Context(source, uid, created, clock, log, missed=missed, polled=metrics.count_polls, **more)


def stamp(event: Event, context: Context) -> Event:
    """Give the event the id and time that all attempts carry, where the source left them out.

    No time to one that somebody else made: only its maker knows it.
    """
    if not isinstance(event, Event):
        raise TypeError(f"the source yielded {type(event).__name__}; yield an Event")
    if event.id is not None and event.time is not None:
        return event
    return replace(
        event,
        id=f"{context.uid}-{uuid.uuid4()}" if event.id is None else event.id,
        time=context.clock.now() if event.time is None and event.source is None else event.time,
    )


async def close(events: AsyncGenerator[Event, Outcome]) -> None:
    if hasattr(events, "aclose"):  # an author may return any object with anext and asend
        await events.aclose()
