"""Sources that act at fixed times: tick n is due at ``created + phase + n * interval``.

The times and numbers depend only on the resource. So event ids are the same after a restart and in each replica, and a
gap in n is the number of missed ticks.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.model.clock import SET_BACK_S, Clock, wait_until
from adapter.model.event import Event, Outcome, with_defaults
from adapter.model.schedule import Schedule
from adapter.model.source import Context, Source
from adapter.serving.logs import LogThrottle

CATCH_UP = timedelta(seconds=1)  # ticks that are at most this late are sent, not skipped
LATEST = timedelta(minutes=1)  # a tick that is later than this is skipped


class Timer(Source):
    """A source that sends one event per interval.

    If a tick is more than one second late, only the latest tick that is due is sent, and only if it is at most one
    minute late. The others are skipped, counted and logged. Ticks are late if the sink is slow or down, if the clock is
    set forward, and if the machine slept. After a restart, the last tick is sent again with the same id if it was due
    at most one minute ago, because it may not have been delivered. With several
    :meth:`~adapter.model.source.Source.workers`, each worker sends every ``workers``-th tick.
    """

    keeps_checkpoint = ("interval",)
    interval: Interval = Field(
        default=Interval("10s"), description='Time between two events, such as "10s" or "1m30s"; at least 1ms.'
    )

    def tick(self, n: int) -> Event | Awaitable[Event]:
        """Return the event of tick ``n``, counted from the creation of the resource. May be ``async``.

        An event without id gets the id ``<uid>-<Unix milliseconds of the tick>``; an event without time gets the time
        of the tick. An exception ends the adapter with exit code 1.
        """
        raise TypeError(f"{type(self).__name__} has no tick(); define `def tick(self, n): return Event(...)`")

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yields the event of each tick when it is due."""
        schedule = Schedule.of(context.uid, context.created, self.interval.ns)
        offset_s = _clock_offset_s(context.clock)
        n = _for_worker(first_tick(schedule, context.clock.now()), context)
        context.log.info("timer started", extra={"fields": {"first_sequence": n}})
        with LogThrottle(context.log, context.clock.now) as throttle:
            try:
                while True:
                    due = schedule.due(n)
                    await _sleep_until(due, offset_s, context.clock, throttle)
                    now, offset_s = context.clock.now(), _clock_offset_s(context.clock)
                    following = _after_skipped(n, schedule, context) if now - due > CATCH_UP else n
                    if following == n:
                        throttle.recovered()
                    else:
                        _log_skipped(n, following, schedule, context, throttle)
                        n = following
                        if schedule.due(n) > now:
                            continue
                    event, due = await self._event_of(n), schedule.due(n)
                    made = with_defaults(event, f"{context.uid}-{schedule.due_ns(n) // 1_000_000}", due)
                    n += context.workers
                    yield made
            finally:  # the adapter stops; the next process may send the last tick that is due
                _log_skipped(n, _after_skipped(n, schedule, context), schedule, context, throttle, stops=True)

    async def _event_of(self, n: int) -> Event:
        made = self.tick(n)
        event = await made if inspect.isawaitable(made) else made
        if not isinstance(event, Event):
            raise TypeError(f"tick() of {type(self).__name__} returned {type(event).__name__}; return an Event")
        return event


def _after_skipped(n: int, schedule: Schedule, context: Context) -> int:
    """The tick of this worker that is sent next. The ticks from ``n`` on, before it, are skipped.

    If ``n`` is due, it is the latest tick that is due, or the one after it if the latest is too late. Else it is ``n``.
    """
    now = context.clock.now()
    latest = n + (schedule.latest_at(now) - n) // context.workers * context.workers
    if latest < n:
        return n
    return latest if now - schedule.due(latest) <= LATEST else latest + context.workers


def _log_skipped(
    n: int, following: int, schedule: Schedule, context: Context, throttle: LogThrottle, *, stops: bool = False
) -> None:
    """Count and log the ticks of this worker from ``n`` on, before ``following``."""
    count = (following - n) // context.workers
    if count > 0:
        context.count_missed(count)
        times = {"from": schedule.due(n), "to": schedule.due(following - context.workers)}
        fields: dict[str, Any] = {
            name: time.isoformat(timespec="milliseconds")[:-6] + "Z" for name, time in times.items()
        }
        fields |= {} if stops else {"next_sequence": following}
        throttle.log(logging.WARNING, "overdue ticks skipped", fields, count=count)


async def _sleep_until(due: datetime, offset_s: float, clock: Clock, throttle: LogThrottle) -> None:
    """Sleep until ``due``. If the clock is set back, the wait is longer than expected, so a warning is logged."""
    reached = False
    while not reached:
        previous_s, offset_s = offset_s, _clock_offset_s(clock)
        if previous_s - offset_s >= SET_BACK_S:
            by_s, next_s = previous_s - offset_s, (due - clock.now()).total_seconds()
            throttle.warning("the clock was set back", by_s=round(by_s, 3), next_tick_in_s=round(next_s, 3))
        reached = await wait_until(clock, due)


def _clock_offset_s(clock: Clock) -> float:
    """Seconds from the monotonic clock to the wall clock; a change means that the wall clock was set."""
    return clock.now().timestamp() - asyncio.get_running_loop().time()


def first_tick(schedule: Schedule, now: datetime) -> int:
    """The last due tick if it is recent, because a killed process may not have delivered it; else the next tick.

    If it was delivered, the sink gets it again with the same id.
    """
    latest = schedule.latest_at(now)
    recent = latest >= 0 and now - schedule.due(latest) <= LATEST
    return latest if recent else schedule.next_at(now)


def _for_worker(n: int, context: Context) -> int:
    """The first tick of this worker that is not before ``n``."""
    return n + (context.worker - n) % context.workers
