"""One call of ``poll()``: its events one at a time, their outcomes, the time limit of the poll, and its result."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from datetime import datetime
from typing import Any, TypeVar

import httpx2

from adapter.model.event import Event, Outcome
from adapter.net.retry_after import reason_of
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.progress import FAILED, OK, UNCHANGED, PollResult
from adapter.polling.rate_limits import status_failure

Events = AsyncGenerator[Event, Outcome | None]
GetClient = Callable[[], Awaitable[httpx2.AsyncClient]]
StartPoll = Callable[[httpx2.AsyncClient], Any]
Describe = Callable[[Exception], dict[str, Any]]
See = Callable[[Event], None]
T = TypeVar("T")


class OnePoll:
    """Iterate over it inside ``async with``. After the block, ``result`` tells how the poll ended.

    ``start`` is ``poll()``: a function that returns the events, or a generator. Set ``outcome`` to that of the event
    before each next one: the ``yield`` of the generator returns it.

    An exception of ``start`` or of its generator ends the iteration and becomes the result. A ``NotImplementedError``
    is raised instead: a missing ``poll()`` is a mistake of the class, not a failure of the upstream.
    ``budget_s``: how long the poll itself may take. The time of deliveries does not count. ``describe(error)``: the
    log fields ``error``, ``at`` and ``traceback`` of an exception. ``see(event)`` gets each event before it is sent.
    Its exception also becomes the result.
    """

    def __init__(
        self,
        client: GetClient,
        start: StartPoll,
        budget_s: float,
        now: Callable[[], datetime],
        describe: Describe,
        see: See,
    ) -> None:
        self.result = PollResult(OK)
        self.outcome: Outcome | None = None
        self._client = client
        self._start = start
        self._budget_s = self._left_s = budget_s
        self._now = now
        self._describe = describe
        self._see = see
        self._loop_time = asyncio.get_running_loop().time
        self._events: Events | None = None

    async def __aenter__(self) -> OnePoll:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the author's generator now, so that its ``finally`` blocks run before the next poll."""
        try:
            if self._events is not None:
                await self._events.aclose()
        except Exception as error:
            self.result = _result_of(error, self._now(), self._describe)

    def __aiter__(self) -> OnePoll:
        return self

    async def __anext__(self) -> Event:
        try:
            if self._events is None:
                client = await self._client()
                self._events = await self._within_budget(_started(self._start, client))
            event = await self._within_budget(self._events.asend(self.outcome))
            self._see(event)
            return event
        except (StopAsyncIteration, NotImplementedError):
            raise
        except Exception as error:
            self.result = _result_of(error, self._now(), self._describe)
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


async def _started(start: StartPoll, client: httpx2.AsyncClient) -> Events:
    made = start(client)
    found = await made if inspect.isawaitable(made) else made
    if isinstance(found, AsyncGenerator):
        return found
    return _yielded(found) if isinstance(found, Generator) else _each(found)


async def _each(found: Any) -> Events:
    """The items of ``found``. An object that is not iterable counts as one item, which the Poller rejects."""
    if isinstance(found, AsyncIterable):
        async for event in found:
            yield event
    else:
        for event in found if isinstance(found, Iterable) else [found]:
            yield event


async def _yielded(found: Generator[Event, Outcome | None, object]) -> Events:
    outcome: Outcome | None = None
    with contextlib.closing(found), contextlib.suppress(StopIteration):
        while True:
            outcome = yield found.send(outcome)


def _result_of(error: Exception, now: datetime, describe: Describe) -> PollResult:
    """The reason of a failed poll. An exception in the code of the kind also gets the log fields of ``describe``.

    ``/readiness`` shows the reason without authentication. So the reason has the text of an exception only if this text
    contains no data.
    """
    if isinstance(error, Unchanged):
        return PollResult(UNCHANGED)
    if isinstance(error, httpx2.HTTPStatusError):  # its text contains the URL
        error = status_failure(error.response, now)
    if isinstance(error, PollFailed):
        return PollResult(FAILED, str(error), error.retry_after_s)
    if isinstance(error, httpx2.RequestError) and not isinstance(error, httpx2.LocalProtocolError):
        return PollResult(FAILED, str(PollFailed(reason_of(error))))
    fields = describe(error)
    if isinstance(error, httpx2.LocalProtocolError):  # its text quotes a header, which may be made from a secret
        fields["error"] = type(error).__name__
    reason = fields["error"] if isinstance(error, OSError) else f"{type(error).__name__} at {fields['at']}"
    return PollResult(FAILED, str(PollFailed(reason)), fields=fields)
