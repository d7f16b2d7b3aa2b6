"""Sources that act at fixed times: tick n is due at ``created + phase + n * interval``.

The times and numbers depend only on the resource. So event ids are the same after a restart and in each replica, and a
gap in n is the number of missed ticks.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.model.event import Event, Outcome, with_defaults
from adapter.model.schedule import Schedule
from adapter.model.source import Context
from adapter.timing.scheduled import Scheduled
from adapter.timing.ticks import GAP_S, Plan, ticks
from adapter.timing.times import Every


class Timer(Scheduled):
    """A source that sends one event per interval.

    A tick that is more than one second late is missed: the sink was slow or down, no adapter ran, the clock was set
    forward, or the machine slept. ``missed`` says what happens then:

    * ``skip``: only the latest tick is sent, if it is at most one minute late.
    * ``latest``: the latest tick is sent, if it is at most ``missed_window`` late.
    * ``all``: all ticks that are at most ``missed_window`` late are sent, in order; at most the last 1000.

    The others are skipped, counted and logged. With ``latest`` and ``all``, a tick with the outcome ``GAVE_UP`` is
    missed, too, so it is sent again. If the last tick is unknown after a restart, the last one is sent again with the
    same id if it was due at most one minute ago, because it may not have been delivered. With several
    :meth:`~adapter.model.source.Source.workers`, each worker sends every ``workers``-th tick.

    A Timer keeps its position in ``context.checkpoint``, so do not save another value there.
    """

    interval: Interval = Field(
        default=Interval("10s"), description='Time between two events, such as "10s" or "1m30s"; at least 1ms.'
    )

    def tick(self, n: int) -> Event | Awaitable[Event]:
        """Return the event of tick ``n``, counted from the creation of the resource. May be ``async``.

        An event without id gets the id ``<uid>-<Unix milliseconds of the tick>``; an event without time gets the time
        of the tick. An exception ends the adapter with exit code 1.
        """
        raise TypeError(f"{type(self).__name__} has no tick(); define `def tick(self, n): return Event(...)`")

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yields the event of each tick when it is due."""
        return ticks(context, plan_of(self, context))


def plan_of(timer: Timer, context: Context) -> Plan:
    """The ticks of one worker of the timer."""
    schedule = Schedule.of(context.uid, context.created, timer.interval.ns)
    made, all_times = _Numbered(timer, schedule, context.uid), Every.of(schedule)
    return Plan(
        all_times if context.workers == 1 else Every.of(schedule, context.worker, context.workers),
        all_times,
        timer._policy(),
        made.event,
        made.name,
        min(GAP_S, timer.interval.total_seconds() / 2) * context.workers,
    )


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The ticks of a timer by their numbers. A pool has one for each source, so it must be small."""

    timer: Timer
    schedule: Schedule
    uid: str

    async def event(self, due: int) -> Event:
        n = _number(self.schedule, due)
        made = self.timer.tick(n)
        event = await made if inspect.isawaitable(made) else made
        if not isinstance(event, Event):
            raise TypeError(f"tick() of {type(self.timer).__name__} returned {type(event).__name__}; return an Event")
        return with_defaults(event, f"{self.uid}-{due // 1_000_000}", self.schedule.due(n))

    def name(self, due: int) -> dict[str, int]:
        return {"sequence": _number(self.schedule, due)}


def _number(schedule: Schedule, due: int) -> int:
    return (due - schedule.first_ns) // schedule.interval_ns
