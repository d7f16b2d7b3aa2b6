"""One call of ``poll()``: its events one at a time, its time budget, and its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import httpx2

from adapter.model.event import Event
from adapter.net.retry_after import reason_of
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.progress import FAILED, OK, UNCHANGED, PollResult
from adapter.polling.rate_limits import status_failure
from adapter.serving.logs import error_location

GetClient = Callable[[], Awaitable[httpx2.AsyncClient]]
StartPoll = Callable[[httpx2.AsyncClient], Awaitable[AsyncIterator[Event]]]
T = TypeVar("T")


class OnePoll:
    """Iterate over it inside ``async with``. After the block, ``result`` tells how the poll ended.

    An exception of ``start`` or of its iterator ends the iteration and becomes the result. A ``NotImplementedError`` is
    raised instead: a missing ``poll()`` is a mistake of the class, not a failure of the upstream.
    ``budget_s``: how long the poll itself may take. The time of deliveries does not count.
    """

    def __init__(self, client: GetClient, start: StartPoll, budget_s: float, now: Callable[[], datetime]) -> None:
        self.result = PollResult(OK)
        self._client = client
        self._start = start
        self._budget_s = self._left_s = budget_s
        self._now = now
        self._loop_time = asyncio.get_running_loop().time
        self._events: AsyncIterator[Event] | None = None

    async def __aenter__(self) -> OnePoll:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the author's generator now, so that its ``finally`` blocks run before the next poll."""
        try:
            if isinstance(self._events, AsyncGenerator):
                await self._events.aclose()
        except Exception as error:
            self.result = _result_of(error, self._now())

    def __aiter__(self) -> OnePoll:
        return self

    async def __anext__(self) -> Event:
        try:
            if self._events is None:
                client = await self._client()
                self._events = await self._within_budget(self._start(client))
            return await self._within_budget(anext(self._events))
        except (StopAsyncIteration, NotImplementedError):
            raise
        except Exception as error:
            self.result = _result_of(error, self._now())
            raise StopAsyncIteration from None

    async def _within_budget(self, step: Awaitable[T]) -> T:
        began = self._loop_time()
        try:
            async with asyncio.timeout_at(began + self._left_s) as timeout:
                return await step
        except TimeoutError:
            if timeout.expired():
                raise PollFailed(f"the poll took longer than {self._budget_s:g} s") from None
            raise
        finally:
            self._left_s -= self._loop_time() - began


def _result_of(error: Exception, now: datetime) -> PollResult:
    if isinstance(error, Unchanged):
        return PollResult(UNCHANGED)
    failure = error if isinstance(error, PollFailed) else _failure(error, now)
    return PollResult(FAILED, str(failure), failure.retry_after_s)


def _failure(error: Exception, now: datetime) -> PollFailed:
    """Uses the text of an exception only where it cannot contain data or secrets; otherwise its type and location."""
    if isinstance(error, httpx2.HTTPStatusError):  # its text contains the URL
        return status_failure(error.response, now)
    quotes_a_header = isinstance(error, httpx2.LocalProtocolError)
    if isinstance(error, httpx2.RequestError | OSError) and not quotes_a_header:
        return PollFailed(reason_of(error))
    return PollFailed(f"{type(error).__name__} at {error_location(error)}")
