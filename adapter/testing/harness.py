"""What the plugin's fixtures do: a source under a virtual clock, alone or with the adapter's own delivery around it."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, TypeVar

import httpx2

from adapter.cloudevents.encode import Message, encode
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.delivery.channel import Channel, Destination
from adapter.delivery.delivery import Delivery
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Context, Source
from adapter.observe.metrics import Metrics
from adapter.runtime import Drain, Runtime, close, stamp
from adapter.serving.messages import Request
from adapter.testing.clock import START, VirtualClock
from adapter.testing.sink import Sink

NAMESPACE, UID = "default", "u1"
T = TypeVar("T")
Json = Any


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

    async def pull() -> None:
        context = _context(source, clock, created)
        async with source.running(context), aclosing(_first(source, context, ticks)) as made:
            event = await anext(made)
            while True:
                events.append(event)
                if len(events) == ticks:
                    return
                event = await made.asend(dict(enumerate(outcomes)).get(len(events) - 1, Outcome.DELIVERED))

    _within(deadline_s, pull(), lambda: f"{_name(source)} made {len(events)} of {ticks} events")
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
    trial = _Trial(_context(source, clock, None), read_policy(delivery or {}))
    _within(
        deadline_s,
        trial.run(source, sink, dead_letters, ticks),
        lambda: f"{len(trial.outcomes)} of {ticks} events of {_name(source)} were delivered or lost",
    )
    return trial.outcomes


def poll(source: Source, answer: Json) -> list[Event]:
    response = answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)

    async def ask() -> list[Event]:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: response)) as client:
            made = source.poll(client)  # type: ignore[attr-defined]  # a Poller; importing it costs every pytest run
            found = await made if inspect.isawaitable(made) else made
            items = [it async for it in found] if isinstance(found, AsyncIterable) else list(found)
            return [_checked(source, it) for it in items]

    return _within(10, ask(), lambda: f"poll() of {_name(source)} did not end")


def receive(
    source: Source,
    body: Json = b"",
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str = "/",
) -> Event:
    octets = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    named = {name.lower(): value for name, value in (headers or {}).items()}
    made = source.receive(Request(method, path, named, octets))  # type: ignore[attr-defined]  # a Listener, likewise
    return _checked(source, _within(10, made, lambda: f"receive() of {_name(source)} did not end"))


@dataclass
class _Trial:
    """One adapter's life, until a number of events are delivered or lost."""

    context: Context
    policy: Policy
    outcomes: list[Outcome] = field(default_factory=list)

    async def run(self, source: Source, sink: Sink, dead_letters: Sink | None, ticks: int) -> None:
        context, policy = self.context, self.policy
        metrics = Metrics(NAMESPACE, "test", _name(source))
        async with AsyncExitStack() as stack:
            channels = [
                Channel(Destination(it.url), policy.timeout_s, context.clock) for it in (sink, dead_letters) if it
            ]
            for channel in channels:
                await stack.enter_async_context(aclosing(channel))
            last = channels[1] if dead_letters else None
            way = Delivery(channels[0], policy, context.clock, Random(0), metrics, context.log, dead_letters=last)

            async def count(event: Event, message: Message) -> Outcome:
                self.outcomes.append(await way.deliver(event, message))
                if len(self.outcomes) == ticks:
                    runtime.stop()
                return self.outcomes[-1]

            class First(Source):
                @asynccontextmanager
                async def running(self, context: Context) -> AsyncIterator[None]:
                    async with source.running(context):
                        yield

                def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
                    return _first(source, context, ticks)

            runtime = Runtime(First(), context, count, metrics, namespace=NAMESPACE, overrides={}, drain=Drain(0))
            await runtime.run()


async def _first(source: Source, context: Context, ticks: int) -> AsyncGenerator[Event, Outcome]:
    """The source's first events, each one that can be sent; what else it does is said."""
    events = source.events(context)
    try:
        outcome: Outcome | None = None
        for n in range(ticks):
            try:
                event = await (anext(events) if outcome is None else events.asend(outcome))
            except StopAsyncIteration:
                raise AssertionError(f"{_name(source)} ended after {n} of {ticks} events") from None
            outcome = yield _checked(source, event, context)
    finally:
        await close(events)


def _checked(source: Source, event: Event, context: Context | None = None) -> Event:
    if not isinstance(event, Event):
        raise AssertionError(f"{_name(source)} made {event!r}, which is a {type(event).__name__}; make an Event")
    context = context or _context(source, None, None)
    try:
        encode(stamp(event, context), source=context.source, namespace=NAMESPACE, overrides={})
    except ValueError as error:
        raise AssertionError(f"an event of {_name(source)} cannot be sent: {error}; it is {event}") from None
    return event


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
