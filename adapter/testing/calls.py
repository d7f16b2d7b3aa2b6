"""The implementation of the fixtures that call one method of a source once: ``poll`` and ``receive``."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing, suppress
from typing import Any

import httpx2

from adapter.contract.formats import Json
from adapter.listening.listener import Listener, check_served, events_of
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome
from adapter.model.source import Source
from adapter.serving.messages import Reply, Request
from adapter.testing.harness import Failed, context_for, message_of, name_of, within

__tracebackhide__ = True  # pytest leaves out these frames, so a failure shows the line of the test or of the source


def poll(source: Source, answer: Json, *, outcomes: Sequence[Outcome] = ()) -> list[Event]:
    response = answer if isinstance(answer, httpx2.Response) else httpx2.Response(200, json=answer)
    context = context_for(source, None, None, [])

    async def poll() -> list[Event]:
        from adapter.polling.poller import note_poll

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: response)) as client:
            made = source.poll(client)  # type: ignore[attr-defined]  # a Poller; its import would slow down every test run
            found = await made if inspect.isawaitable(made) else made
            items = [item async for item in _with_outcomes(found, iter(outcomes))]
        for item in items:
            message_of(source, item, context)
            if not item.id:
                raise Failed(f"poll() of {name_of(source)} made an Event without id; write Event(id=...) with its key")
        note_poll(source, items, outcomes[: len(items)])
        return items

    return within(10, poll(), lambda: f"poll() of {name_of(source)} did not end")


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
        raise AssertionError(f"{name_of(source)} is not a Listener; only a Listener receives requests")
    content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    method, path = method or source.allowed_methods[0], source.path if path is None else path
    context = context_for(source, clock, None, [])
    check_served(source, method, path)
    request = Request(method, path, lower, content, query, context.clock.now())

    async def receive() -> Any:
        made = source.receive(request)
        return await made if inspect.isawaitable(made) else made

    result = within(10, receive(), lambda: f"receive() of {name_of(source)} did not end")
    try:
        events = [] if isinstance(result, Reply) else events_of(source, result)
    except TypeError as error:
        raise AssertionError(str(error)) from None
    for event in events:
        message_of(source, event, context)
    return result
