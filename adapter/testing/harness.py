"""The implementation of the fixtures: a source under a virtual clock, alone or with the delivery of an adapter."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from random import Random
from typing import Any, TypeVar

import httpx2

from adapter.cloudevents.encode import Message, encode
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.formats import Json
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source, with_id_and_time
from adapter.observe.metrics import Metrics
from adapter.serving.messages import Request
from adapter.testing.clock import START, VirtualClock
from adapter.testing.sink import Sink

NAMESPACE, UID = "default", "u1"
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

    pulled = _pull(source, _context(source, clock, created), ticks, handle)
    _within(deadline_s, pulled, lambda: f"{_name(source)} made {len(events)} of {ticks} events")
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
    context, policy = _context(source, clock, None), read_policy(delivery or {})
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

    _within(
        deadline_s, deliver(), lambda: f"{len(outcomes)} of {ticks} events of {_name(source)} were delivered or lost"
    )
    return outcomes


def poll(source: Source, answer: Json) -> list[Event]:
    response = answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)
    context = _context(source, None, None)

    async def poll() -> list[Event]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: response)) as client:
            made = source.poll(client)  # type: ignore[attr-defined]  # a Poller; its import would slow down every test run
            found = await made if inspect.isawaitable(made) else made
            items = [item async for item in found] if isinstance(found, AsyncIterable) else list(found)
        for item in items:
            _message(source, item, context)
        return items

    return _within(10, poll(), lambda: f"poll() of {_name(source)} did not end")


def receive(
    source: Source,
    body: Json = b"",
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = "/",
) -> Event:
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    received = source.receive(Request(method, path, lower, content))  # type: ignore[attr-defined]  # a Listener, likewise
    event: Event = _within(10, received, lambda: f"receive() of {_name(source)} did not end")
    _message(source, event, _context(source, None, None))
    return event


def _channel(sink: Sink, policy: Policy, clock: Clock) -> Channel:
    return Channel(Destination(sink.url), policy.timeout_s, clock, connect_timeout_s=policy.connect_timeout_s)


async def _pull(
    source: Source, context: Context, ticks: int, handle: Callable[[Event, Message], Awaitable[Outcome]]
) -> None:
    """Pull the first events and send their outcomes back, except the outcome of the last one."""
    async with source.running(context), aclosing(source.events(context)) as events:
        outcome: Outcome | None = None
        for n in range(ticks):
            try:
                event = await (anext(events) if outcome is None else events.asend(outcome))
            except StopAsyncIteration:
                raise AssertionError(f"{_name(source)} ended after {n} of {ticks} events") from None
            outcome = await handle(event, _message(source, event, context))


def _message(source: Source, event: Event, context: Context) -> Message:
    """What an adapter would send. An invalid event fails the test."""
    if not isinstance(event, Event):
        raise AssertionError(f"{_name(source)} made {event!r}, which is a {type(event).__name__}; make an Event")
    try:
        return encode(with_id_and_time(event, context), source=context.source, namespace=NAMESPACE, overrides={})
    except ValueError as error:
        raise AssertionError(f"an event of {_name(source)} is invalid: {error}; it is {event}") from None


def _context(source: Source, clock: Clock | None, created: datetime | None) -> Context:
    path = f"/apis/{source.api_version}/namespaces/{NAMESPACE}/{_name(source).lower()}s/test"
    return Context(path, UID, created or START, clock or VirtualClock(), logging.getLogger("adapter"))


def _within(deadline_s: float, work: Coroutine[Any, Any, T], seen: Callable[[], str]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(deadline_s):
            return await work

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        raise AssertionError(f"{seen()} within {deadline_s:g} s") from None


def _name(source: Source) -> str:
    return type(source).__name__
