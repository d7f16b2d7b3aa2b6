"""Sources that act at fixed times: tick n is due at ``created + phase + n * interval``, whoever computes it.

Ticks are absolute and numbered from ``created``: restarts and replicas agree on ids, a gap in n counts what was missed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.model.clock import SET_BACK_S, Clock, reached
from adapter.model.event import Event, Outcome
from adapter.model.schedule import Schedule
from adapter.model.source import Context, Source
from adapter.serving.logs import LogThrottle

CATCH_UP = timedelta(seconds=1)  # a tick that is no later is sent after those before it: a hiccup skips nothing
REPEAT_WITHIN = timedelta(minutes=1)


class Timer(Source):
    """A source that yields one event per interval."""

    interval: Interval = Field(
        default=Interval("10s"), description='How often an event is sent, such as "10s" or "1m30s"; at least 1ms.'
    )

    def tick(self, n: int) -> Event | Awaitable[Event]:
        raise TypeError(f"{type(self).__name__} has no tick(); define `def tick(self, n): return Event(...)`")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        digest, ahead_s = LogThrottle(context.log, context.clock.now), _ahead_s(context.clock)
        n = _in_lane(first_tick(schedule, context.clock.now()), context)
        context.log.info("ticking", extra={"fields": {"first_sequence": n}})
        while True:
            due = schedule.due(n)
            await _arrive(due, ahead_s, context.clock, digest)
            now, ahead_s = context.clock.now(), _ahead_s(context.clock)
            skipped = (schedule.latest_at(now) - n) // context.lanes
            if skipped > 0 and now - due > CATCH_UP:
                context.missed(skipped)
                n += skipped * context.lanes
                digest.warning("ticks skipped: they were overdue", count=skipped, next_sequence=n)
            else:
                digest.flush()
            made = self.tick(n)
            event = await made if inspect.isawaitable(made) else made
            if not isinstance(event, Event):
                raise TypeError(f"tick() of {type(self).__name__} returned {type(event).__name__}; return an Event")
            yield _stamped(event, context.uid, schedule, n)
            n += context.lanes


async def _arrive(due: datetime, ahead_s: float, clock: Clock, digest: LogThrottle) -> None:
    """Sleep until ``due``; a clock that was set back makes that longer than anybody expects, so it is said."""
    there = False
    while not there:
        before_s, ahead_s = ahead_s, _ahead_s(clock)
        if before_s - ahead_s >= SET_BACK_S:
            next_s = (due - clock.now()).total_seconds()
            digest.warning("the clock was set back", by_s=round(before_s - ahead_s, 3), next_tick_in_s=round(next_s, 3))
        there = await reached(clock, due)


def _ahead_s(clock: Clock) -> float:
    """How far, of one that nobody sets."""
    return clock.now().timestamp() - asyncio.get_running_loop().time()


def first_tick(schedule: Schedule, now: datetime) -> int:
    """The last one due, if that is recent: a process that was killed may have had it in hand. Else the next one.

    Who had sent it already sends the same id again.
    """
    latest = schedule.latest_at(now)
    recent = latest >= 0 and now - schedule.due(latest) <= REPEAT_WITHIN
    return latest if recent else schedule.next_at(now)


def _in_lane(n: int, context: Context) -> int:
    """The first tick from n on that is this lane's; each lane has every ``lanes``-th."""
    return n + (context.lane - n) % context.lanes


def _stamped(event: Event, uid: str, schedule: Schedule, n: int) -> Event:
    return replace(
        event,
        id=f"{uid}-{schedule.due_ns(n) // 1_000_000}" if event.id is None else event.id,
        time=schedule.due(n) if event.time is None else event.time,
    )
