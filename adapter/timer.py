"""Sources that act at fixed times: tick n is due at ``created + phase + n * interval``, whoever computes it.

Ticks are absolute and numbered from ``created``: restarts and replicas agree on ids, a gap in n counts what was missed.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import Field

from adapter.clocks import SET_BACK_S, Clock, reached
from adapter.durations import Interval
from adapter.formats import EPOCH
from adapter.logs import Digest
from adapter.source import Context, Event, Outcome, Source

CATCH_UP = timedelta(seconds=1)  # a tick that is no later is sent after those before it: a hiccup skips nothing
REPEAT_WITHIN = timedelta(minutes=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Schedule:
    """When tick n is due, in whole nanoseconds since the epoch."""

    first_ns: int
    interval_ns: int

    @classmethod
    def of(cls, uid: str, created: datetime, interval_ns: int) -> Schedule:
        """The phase spreads a thousand sources that were applied at once."""
        phase_ns = int.from_bytes(hashlib.sha256(uid.encode("utf-8", "replace")).digest()) % interval_ns
        return cls(_unix_ns(created) + phase_ns, interval_ns)

    def due_ns(self, n: int) -> int:
        return self.first_ns + n * self.interval_ns

    def due(self, n: int) -> datetime:
        return EPOCH + timedelta(microseconds=self.due_ns(n) // 1000)

    def next_at(self, now: datetime) -> int:
        """The first tick due at ``now`` or later."""
        return max(0, -((self.first_ns - _unix_ns(now)) // self.interval_ns))

    def latest_at(self, now: datetime) -> int:
        """The last tick due at ``now`` or before; negative before the first."""
        return (_unix_ns(now) - self.first_ns) // self.interval_ns


class Timer(Source):
    """A source that yields one event per interval."""

    interval: Interval = Field(
        default=Interval("10s"), description='How often an event is sent, such as "10s" or "1m30s"; at least 1ms.'
    )

    def tick(self, n: int) -> Event | Awaitable[Event]:
        raise TypeError(f"{type(self).__name__} has no tick(); define `def tick(self, n): return Event(...)`")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        digest, ahead_s = Digest(context.log, context.clock.now), _ahead_s(context.clock)
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
                digest.settle()
            made = self.tick(n)
            event = await made if inspect.isawaitable(made) else made
            if not isinstance(event, Event):
                raise TypeError(f"tick() of {type(self).__name__} returned {type(event).__name__}; return an Event")
            yield _stamped(event, context.uid, schedule, n)
            n += context.lanes


async def _arrive(due: datetime, ahead_s: float, clock: Clock, digest: Digest) -> None:
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


def _unix_ns(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND * 1000
