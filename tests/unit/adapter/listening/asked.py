"""Sends a request to a listener without a network, and returns its response."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from adapter.contract.timeouts import TIMEOUTS, Timeouts
from adapter.listening.listener import RequestHandler
from adapter.sdk import Context, Event, Listener, Request
from adapter.testing.clock import START, VirtualClock
from tests.deadline import DEADLINE_S
from tests.logbook import Logbook

REQUEST = Request("POST", "/", {}, b"", "a=b")


class BellSource(Listener):
    """Sends one event per request."""

    async def receive(self, request: Request) -> Event:
        return Event(type="ring")


def handler_of(source: Listener, book: Logbook, timeouts: Timeouts = TIMEOUTS) -> RequestHandler:
    return RequestHandler(source, Context("/s", "uid", START, VirtualClock(), book.log), timeouts)


def answer_of(
    receive: Callable[[Request], Any], book: Logbook | None = None, body: bytes = b"", timeouts: Timeouts = TIMEOUTS
) -> tuple[int, bytes]:
    """Status and body of the response of a source with this ``receive()``."""
    return asyncio.run(response_to(handler_of(source_with(receive), book or Logbook(), timeouts), body))


def source_with(receive: Callable[[Request], Any]) -> Listener:
    class OwnSource(Listener):
        """A source of a test."""

        async def receive(self, request: Request) -> Any:
            made = receive(request)
            return await made if inspect.isawaitable(made) else made

    return OwnSource()


async def response_to(handler: RequestHandler, body: bytes = b"") -> tuple[int, bytes]:
    status, content, _ = await whole_response_to(handler, dataclasses.replace(REQUEST, body=body))
    return status, content


async def whole_response_to(handler: RequestHandler, request: Request = REQUEST) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers; their names are in lower case."""
    async with asyncio.timeout(DEADLINE_S):
        response = await handler(request)
    return response.status, response.body, {name.lower(): value for name, value in response.headers.items()}


def fails(error: BaseException) -> Callable[[Request], Any]:
    def receive(request: Request) -> Any:
        raise error

    return receive
