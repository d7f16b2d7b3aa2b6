"""Sources that look for new items: at once when they start, then at fixed times; each item is sent once, in order.

A cursor of any kind moves only after the sink's answer. A source is ready once its upstream has answered; one that is
broken is said, counted and ends readiness, and never the adapter. Items are known by their own keys, the latest
``WINDOW`` of them; nothing else is remembered.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.model.clock import reached
from adapter.model.event import Event, Outcome
from adapter.model.schedule import Schedule
from adapter.model.source import Context, Source
from adapter.polling.client import Upstream
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.progress import OK, UNCHANGED, PollMonitor, SeenKeys, poll_errors, with_time_budget

if TYPE_CHECKING:
    import ssl

    import httpx2


class Poller(Source):
    """A source that looks for new items every interval."""

    interval: Interval = Field(
        default=Interval("1m"), description='How often it looks for new items, such as "30s" or "5m"; at least 1ms.'
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "workers" in vars(cls):
            raise TypeError(f"{cls.__name__}.workers(): a Poller sends its items in order; remove the method")

    def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event] | Awaitable[Iterable[Event]]:
        """The items there are, each an Event with an id of its own; those already sent may be among them.

        ``async def`` that returns them, or an async generator: what stands after its last ``yield`` runs once the sink
        has them all, so that is where a cursor moves. Any exception means that the upstream is broken.
        """
        raise TypeError(f"{type(self).__name__} has no poll(); define `async def poll(self, client)`")

    def skip_existing(self) -> bool:
        """Whether the first poll only takes note of the items there are, and sends none."""
        return False

    def tls_context(self) -> ssl.SSLContext:
        """Whom the client trusts: the system's authorities. Mounted bundles (TRUST_BUNDLES) are added to it."""
        from adapter.net.tls import tls_context

        return tls_context()

    def poll_limit_s(self) -> float:
        """How long one poll may take; the time the sink takes for its events does not count."""
        return 60.0

    def body_limit(self) -> int:
        """How many bytes of an answer the client reads, packed or unpacked."""
        return 4 * 1024 * 1024

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        if type(self).poll is Poller.poll:
            name = type(self).__name__
            raise TypeError(f"{name} has no poll(); define `async def poll(self, client): return [Event(...)]`")
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        record, done, noting = PollMonitor(context), SeenKeys(), self.skip_existing()
        upstream = Upstream(self.tls_context, context.trust_bundles, self.body_limit())
        async with contextlib.aclosing(upstream):
            while True:
                wait_s = 0.0
                try:
                    async with contextlib.aclosing(self._found(upstream, context)) as found:
                        async for event in found:
                            record.first_item_seen()
                            if done.knows(event.id or ""):
                                continue
                            if not noting and (yield event) is Outcome.GAVE_UP:
                                break  # it comes again with the next poll, and those behind it
                            done.add(event.id or "")
                        else:
                            noting = False
                    record.succeeded(OK)
                except Unchanged:
                    record.succeeded(UNCHANGED)
                except PollFailed as failure:
                    record.failed(failure)
                    wait_s = failure.retry_after_s
                earliest = context.clock.now() + timedelta(seconds=wait_s)
                await reached(context.clock, _next(schedule, earliest))

    async def _found(self, upstream: Upstream, context: Context) -> AsyncGenerator[Event, None]:
        """What poll() finds, in its time. Its exceptions come out as PollFailed, the author's mistakes as TypeError."""
        with poll_errors(context):
            client = await upstream.client()
        async with contextlib.aclosing(with_time_budget(self.poll_limit_s(), self._poll(client, context))) as found:
            async for event in found:
                yield event

    async def _poll(self, client: httpx2.AsyncClient, context: Context) -> AsyncGenerator[Event, None]:
        with poll_errors(context):
            made = self.poll(client)
            found = await made if inspect.isawaitable(made) else made
        if not isinstance(found, AsyncIterable | Iterable):
            raise self._mistake(f"returned {type(found).__name__}; return a list of Events")
        async with contextlib.aclosing(_each(found, context)) as events:
            async for event in events:
                if not isinstance(event, Event):
                    raise self._mistake(f"found a {type(event).__name__}; make each item an Event")
                if not isinstance(event.id, str) or not event.id:
                    raise self._mistake("made an Event without id; write Event(id=...) with the item's own key")
                yield event

    def _mistake(self, what: str) -> TypeError:
        return TypeError(f"poll() of {type(self).__name__} {what}")


def _next(schedule: Schedule, earliest: datetime) -> datetime:
    """After ``earliest``, even if that is a tick whose nanoseconds a clock does not show."""
    return schedule.due(schedule.latest_at(earliest + timedelta(microseconds=1)) + 1)


async def _each(found: AsyncIterable[Event] | Iterable[Event], context: Context) -> AsyncGenerator[Event, None]:
    with poll_errors(context):
        if isinstance(found, AsyncIterable):
            async with contextlib.AsyncExitStack() as stack:
                if isinstance(found, AsyncGenerator):
                    stack.push_async_callback(found.aclose)
                async for event in found:
                    yield event
        else:
            for event in found:
                yield event
