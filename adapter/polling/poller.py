"""Sources that poll: once at the start, then at fixed times. Each new item becomes one event, in order.

The next event is made only after the sink answered for the last one, so a cursor never moves ahead of the sink. An
upstream that fails is logged and counted, and makes the source unready; the adapter keeps running. The only memory is
the keys of the last 10,000 items.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.model.clock import wait_until
from adapter.model.event import Event, Outcome
from adapter.model.schedule import Schedule
from adapter.model.source import Context, Source
from adapter.polling.progress import OK, WINDOW, PollMonitor, SeenKeys

if TYPE_CHECKING:  # httpx2 would double the time to import adapter.sdk, and most kinds do not poll
    import ssl

    import httpx2


class Poller(Source):
    """A source that looks for new items once per interval."""

    interval: Interval = Field(
        default=Interval("1m"), description='Time between two polls, such as "30s" or "5m"; at least 1ms.'
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "workers" in vars(cls):
            raise TypeError(f"{cls.__name__}.workers(): a Poller sends one item at a time; remove the method")

    def poll(self, client: httpx2.AsyncClient) -> AsyncIterator[Event] | Awaitable[Iterable[Event]]:
        """The current items, each an Event with an id; items that were sent before may be among them.

        Write it as ``async def`` that returns the events, or as an async generator. The code after the last ``yield``
        of a generator runs once the sink has all events, so move a cursor there. Any exception means that the upstream
        failed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no poll(); define `async def poll(self, client)`")

    def skip_existing(self) -> bool:
        """Whether the first successful poll after a start sends nothing and only remembers which items exist."""
        return False

    def tls_context(self) -> ssl.SSLContext:
        """The authorities that the client trusts: those of the system. Bundles in ``TRUST_BUNDLES`` are added."""
        from adapter.net.tls import tls_context

        return tls_context()

    def poll_limit_s(self) -> float:
        """How many seconds one poll may take. The time that the sink takes for the events does not count."""
        return 60.0

    def body_limit(self) -> int:
        """How many bytes of a response the client reads, before and after decompression."""
        return 4 * 1024 * 1024

    async def events(
        self, context: Context, *, transport: httpx2.AsyncBaseTransport | None = None, window: int = WINDOW
    ) -> AsyncGenerator[Event, Outcome]:
        """``transport`` replaces the network, as in httpx; ``window``: how many keys of items to remember."""
        from adapter.polling.client import Upstream
        from adapter.polling.one_poll import OnePoll

        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        monitor, seen, skip = PollMonitor(context), SeenKeys(window), self.skip_existing()
        upstream = Upstream(self.tls_context, context.trust_bundles, self.body_limit(), transport)
        async with contextlib.aclosing(upstream):
            while True:
                async with OnePoll(upstream.client, self._start, self.poll_limit_s(), context.clock.now) as poll:
                    async for event in poll:
                        monitor.first_item_seen()
                        key = self._key(event)
                        if key in seen:
                            continue
                        outcome = None if skip else (yield event)
                        if outcome is Outcome.GAVE_UP:
                            break  # the next poll finds this item again, before the items behind it
                        seen.add(key)
                skip = skip and poll.result.outcome != OK
                monitor.record(poll.result)
                await wait_until(context.clock, _next_due(schedule, context.clock.now(), poll.result.retry_after_s))

    async def _start(self, client: httpx2.AsyncClient) -> AsyncIterator[Event]:
        made = self.poll(client)
        found = await made if inspect.isawaitable(made) else made
        return aiter(found) if isinstance(found, AsyncIterable) else _each(found)

    def _key(self, event: Event) -> str:
        if not isinstance(event, Event):
            problem = f"a {type(event).__name__}; return a list of Events, or yield Events"
        elif not isinstance(event.id, str) or not event.id:
            problem = "an Event without id; write Event(id=...) with a key that identifies the item"
        else:
            return event.id
        raise TypeError(f"{type(self).__name__}.poll() found {problem}")


async def _each(found: Any) -> AsyncIterator[Event]:
    """An object that is not iterable is an item itself, so the check of the items rejects it."""
    for event in found if isinstance(found, Iterable) else [found]:
        yield event


def _next_due(schedule: Schedule, now: datetime, wait_s: float) -> datetime:
    """The first tick after the wait. One microsecond is added because a clock does not show a tick's nanoseconds."""
    earliest = now + timedelta(seconds=wait_s, microseconds=1)
    return schedule.due(schedule.latest_at(earliest) + 1)
