"""The implementation of the fixtures: a source under a virtual clock, alone or with the delivery of an adapter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any, TypeVar

from adapter.cloudevents.encode import Message, encode
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.listening.listener import Listener
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source, with_id_and_time
from adapter.observe.metrics import Metrics
from adapter.testing.checkpoints import UID, Checkpoints, Process
from adapter.testing.clock import START, VirtualClock
from adapter.testing.sink import Sink

__tracebackhide__ = True  # pytest leaves out these frames, so a failure shows the line of the test or of the source
NAMESPACE = "default"
LAST_STEP_S = 1.0  # real time that a source gets to handle its last outcome
T = TypeVar("T")


def run(
    source: Source,
    ticks: int = 3,
    *,
    outcomes: Sequence[Outcome] = (),
    clock: Clock | None = None,
    created: datetime | None = None,
    deadline_s: float = 30,
    checkpoint: Checkpoints | None = None,
    cut: bool = False,
    unsaved: int = 0,
) -> list[Event]:
    process = Process(source, clock, checkpoint, cut=cut, unsaved=unsaved)
    events: list[Event] = []
    scripted = iter(outcomes)

    async def handle(event: Event, message: Message) -> Outcome:
        events.append(event)
        return next(scripted, Outcome.DELIVERED)

    reasons: list[str | None] = []  # given to set_unready()
    pulled = _pull(process, context_for(source, process.clock, created, reasons), ticks, handle)
    within(deadline_s, pulled, lambda: f"{name_of(source)} made {len(events)} of {ticks} events", reasons)
    return events


def deliver(
    source: Source,
    sink: Sink,
    ticks: int = 3,
    *,
    delivery: Mapping[str, Any] | None = None,
    dead_letters: Sink | None = None,
    clock: Clock | None = None,
    deadline_s: float = 30,
    checkpoint: Checkpoints | None = None,
    cut: bool = False,
    unsaved: int = 0,
) -> list[Outcome]:
    process = Process(source, clock, checkpoint, cut=cut, unsaved=unsaved)
    reasons: list[str | None] = []  # given to set_unready()
    context, policy = context_for(source, process.clock, None, reasons), read_policy(delivery or {})
    outcomes: list[Outcome] = []

    async def deliver() -> None:
        metrics = Metrics(NAMESPACE, "test", name_of(source))
        sinks = [sink, dead_letters] if dead_letters else [sink]
        channels = [_channel(each, policy, context.clock) for each in sinks]
        async with AsyncExitStack() as stack:
            for channel in channels:
                await stack.enter_async_context(aclosing(channel))
            last = channels[1] if dead_letters else None
            delivery = Delivery(channels[0], policy, context.clock, Random(0), metrics, context.log, dead_letters=last)

            async def handle(event: Event, message: Message) -> Outcome:
                outcomes.append(await delivery.deliver(event, message))
                return outcomes[-1]

            await _pull(process, context, ticks, handle)

    seen = f"of {ticks} events of {name_of(source)} were delivered or lost"
    within(deadline_s, deliver(), lambda: f"{len(outcomes)} {seen}", reasons)
    return outcomes


def _channel(sink: Sink, policy: Policy, clock: Clock) -> Channel:
    return Channel(Destination(sink.url), policy.timeout_s, clock, connect_timeout_s=policy.connect_timeout_s)


async def _pull(
    process: Process, context: Context, ticks: int, handle: Callable[[Event, Message], Awaitable[Outcome]]
) -> None:
    """Pull the first events, and send the outcome of each back; not that of the last one if the process is killed."""
    source = process.source
    if isinstance(source, Listener):
        raise Failed(f"{name_of(source)} is a Listener, which makes events only of requests; use the fixture receive")
    clock = _LastClock(context.clock)
    context = replace(context, clock=clock, checkpoint=process.checkpoint)
    async with source.running(context), aclosing(source.events(context)) as events:
        outcome: Outcome | None = None
        for n in range(ticks):
            try:
                event = await (anext(events) if outcome is None else events.asend(outcome))
            except StopAsyncIteration:
                raise Failed(f"{name_of(source)} ended after {n} of {ticks} events") from None
            outcome = await handle(event, message_of(source, event, context))
        if process.cut:
            process.kill()
        elif outcome is not None:
            await clock.finish(events.asend(outcome))
    process.end()


class Failed(AssertionError):
    """A mistake of the source."""


class _LastClock:
    """The clock of a source. In :meth:`finish` it does not advance: a sleep ends the source, as a shutdown does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit: asyncio.Timeout | None = None

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep_until(self, deadline: datetime) -> None:
        if self._limit is None:
            return await self._clock.sleep_until(deadline)
        self._limit.reschedule(0)
        await asyncio.Event().wait()

    async def finish(self, step: Awaitable[Event]) -> None:
        """Run the source until its next event, its end or its next sleep, for at most ``LAST_STEP_S``."""
        try:
            async with asyncio.timeout(LAST_STEP_S) as self._limit:
                await step
        except StopAsyncIteration:
            pass
        except TimeoutError:
            if self._limit is None or not self._limit.expired():
                raise


def message_of(source: Source, event: Event, context: Context) -> Message:
    """What an adapter would send. An invalid event fails the test."""
    if not isinstance(event, Event):
        raise Failed(f"{name_of(source)} made {event!r}, which is a {type(event).__name__}; make an Event")
    try:
        return encode(with_id_and_time(event, context), source=context.source, namespace=NAMESPACE, overrides={})
    except ValueError as error:
        raise Failed(f"an event of {name_of(source)} is invalid: {error}; it is {event}") from None


def context_for(source: Source, clock: Clock | None, created: datetime | None, reasons: list[str | None]) -> Context:
    path = f"/apis/{source.api_version}/namespaces/{NAMESPACE}/{name_of(source).lower()}s/test"
    log = logging.getLogger("adapter")
    return Context(path, UID, created or START, clock or VirtualClock(), log, set_unready=reasons.append)


def within(
    deadline_s: float, work: Coroutine[Any, Any, T], seen: Callable[[], str], reasons: Sequence[str | None] = ()
) -> T:
    limit = asyncio.Timeout(None)

    async def bounded() -> T:
        async with limit:
            limit.reschedule(asyncio.get_running_loop().time() + deadline_s)
            return await work

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        if not limit.expired():
            raise  # by the source
        why = f"; the source is not ready: {reasons[-1]}" if reasons and reasons[-1] else ""
        raise AssertionError(f"{seen()} within {deadline_s:g} s{why}") from None
    except Failed as failed:
        raise AssertionError(*failed.args) from None  # without the frames of asyncio


def name_of(source: Source) -> str:
    return type(source).__name__
