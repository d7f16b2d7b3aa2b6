"""The implementation of the fixtures: a source under a virtual clock, alone or with the delivery of an adapter."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, closing, suppress
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any, TypeVar

import httpx2

from adapter.cloudevents.encode import Message, encode
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.formats import Json
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.listening.listener import Listener, check_served, events_of
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source, with_id_and_time
from adapter.observe.metrics import Metrics
from adapter.serving.messages import Reply, Request
from adapter.testing.clock import START, VirtualClock
from adapter.testing.sink import Sink

__tracebackhide__ = True  # pytest leaves out these frames, so a failure shows the line of the test or of the source
NAMESPACE, UID = "default", "u1"
LAST_STEP_S = 1.0  # real time that a source gets to handle its last outcome
T = TypeVar("T")


def run(
    source: Source,
    ticks: int = 3,
    *,
    outcomes: Sequence[Outcome] = (),
    clock: Clock | None = None,
    created: datetime | None = None,
    deadline_s: float = 10,
) -> list[Event]:
    events: list[Event] = []
    scripted = iter(outcomes)

    async def handle(event: Event, message: Message) -> Outcome:
        events.append(event)
        return next(scripted, Outcome.DELIVERED)

    reasons: list[str | None] = []  # given to set_unready()
    pulled = _pull(source, _context(source, clock, created, reasons), ticks, handle)
    _within(deadline_s, pulled, lambda: f"{_name(source)} made {len(events)} of {ticks} events", reasons)
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
) -> list[Outcome]:
    reasons: list[str | None] = []  # given to set_unready()
    context, policy = _context(source, clock, None, reasons), read_policy(delivery or {})
    outcomes: list[Outcome] = []

    async def deliver() -> None:
        metrics = Metrics(NAMESPACE, "test", _name(source))
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

            await _pull(source, context, ticks, handle)

    seen = f"of {ticks} events of {_name(source)} were delivered or lost"
    _within(deadline_s, deliver(), lambda: f"{len(outcomes)} {seen}", reasons)
    return outcomes


def poll(source: Source, answer: Json, *, outcomes: Sequence[Outcome] = ()) -> list[Event]:
    response = answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)
    context = _context(source, None, None, [])

    async def poll() -> list[Event]:
        from adapter.polling.poller import note_poll

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: response)) as client:
            made = source.poll(client)  # type: ignore[attr-defined]  # a Poller; its import would slow down every test run
            found = await made if inspect.isawaitable(made) else made
            items = [item async for item in _with_outcomes(found, iter(outcomes))]
        for item in items:
            _message(source, item, context)
            if not item.id:
                raise _Failed(f"poll() of {_name(source)} made an Event without id; write Event(id=...) with its key")
        note_poll(source, items, outcomes[: len(items)])
        return items

    return _within(10, poll(), lambda: f"poll() of {_name(source)} did not end")


async def _with_outcomes(found: Any, outcomes: Iterator[Outcome]) -> AsyncIterator[Event]:
    """The items of ``found``. A generator gets the outcome of each, and is closed after ``GAVE_UP``."""
    if isinstance(found, Generator):
        found = _asynchronous(found)
    if not isinstance(found, AsyncGenerator):
        for item in [each async for each in found] if isinstance(found, AsyncIterable) else list(found):
            yield item
        return
    async with aclosing(found):
        with suppress(StopAsyncIteration):
            item = await anext(found)
            while True:
                yield item
                outcome = next(outcomes, Outcome.DELIVERED)
                if outcome is Outcome.GAVE_UP:
                    return
                item = await found.asend(outcome)


async def _asynchronous(found: Generator[Event, Any, None]) -> AsyncGenerator[Event, Any]:
    outcome = None
    with closing(found), suppress(StopIteration):
        while True:
            outcome = yield found.send(outcome)


def receive(
    source: Any,
    body: Json = b"",
    *,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    path: str | None = None,
    query: str = "",
    clock: Clock | None = None,
) -> Any:
    if not isinstance(source, Listener):
        raise AssertionError(f"{_name(source)} is not a Listener; only a Listener receives requests")
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    method, path = method or source.allowed_methods[0], source.path if path is None else path
    context = _context(source, clock, None, [])
    check_served(source, method, path)
    request = Request(method, path, lower, content, query, context.clock.now())

    async def receive() -> Any:
        made = source.receive(request)
        return await made if inspect.isawaitable(made) else made

    result = _within(10, receive(), lambda: f"receive() of {_name(source)} did not end")
    try:
        events = [] if isinstance(result, Reply) else events_of(source, result)
    except TypeError as error:
        raise AssertionError(str(error)) from None
    for event in events:
        _message(source, event, context)
    return result


def _channel(sink: Sink, policy: Policy, clock: Clock) -> Channel:
    return Channel(Destination(sink.url), policy.timeout_s, clock, connect_timeout_s=policy.connect_timeout_s)


async def _pull(
    source: Source, context: Context, ticks: int, handle: Callable[[Event, Message], Awaitable[Outcome]]
) -> None:
    """Pull the first events, and send the outcome of each back."""
    if isinstance(source, Listener):
        raise _Failed(f"{_name(source)} is a Listener, which makes events only of requests; use the fixture receive")
    clock = _LastClock(context.clock)
    context = replace(context, clock=clock)
    async with source.running(context), aclosing(source.events(context)) as events:
        outcome: Outcome | None = None
        for n in range(ticks):
            try:
                event = await (anext(events) if outcome is None else events.asend(outcome))
            except StopAsyncIteration:
                raise _Failed(f"{_name(source)} ended after {n} of {ticks} events") from None
            outcome = await handle(event, _message(source, event, context))
        if outcome is not None:
            await clock.finish(events.asend(outcome))


class _Failed(AssertionError):
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


def _message(source: Source, event: Event, context: Context) -> Message:
    """What an adapter would send. An invalid event fails the test."""
    if not isinstance(event, Event):
        raise _Failed(f"{_name(source)} made {event!r}, which is a {type(event).__name__}; make an Event")
    try:
        return encode(with_id_and_time(event, context), source=context.source, namespace=NAMESPACE, overrides={})
    except ValueError as error:
        raise _Failed(f"an event of {_name(source)} is invalid: {error}; it is {event}") from None


def _context(source: Source, clock: Clock | None, created: datetime | None, reasons: list[str | None]) -> Context:
    path = f"/apis/{source.api_version}/namespaces/{NAMESPACE}/{_name(source).lower()}s/test"
    log = logging.getLogger("adapter")
    return Context(path, UID, created or START, clock or VirtualClock(), log, set_unready=reasons.append)


def _within(
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
    except _Failed as failed:
        raise AssertionError(*failed.args) from None  # without the frames of asyncio


def _name(source: Source) -> str:
    return type(source).__name__
