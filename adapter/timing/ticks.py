"""All sources with ticks: which tick is the next one, which missed ones are skipped or repeated, and the position."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapter.model.clock import SET_BACK_S, Clock, wait_until
from adapter.model.event import Event, Outcome
from adapter.model.source import Context
from adapter.serving.logs import LogThrottle
from adapter.timing.missed import IN_TIME, Policy
from adapter.timing.positions import Positions
from adapter.timing.times import Times, to_ns, to_time

AGAIN_S = 1.0  # the wait before a tick is sent again
GAP_S = 0.1  # missed ticks are sent at least this far apart


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source does at which times.

    ``times``: the ticks of this worker; ``all_times``: those of all workers. ``event`` makes the event of a tick, with
    id and time. ``name`` describes a tick in log lines. ``gap_s``: seconds between two missed ticks.
    """

    times: Times
    all_times: Times
    policy: Policy
    event: Callable[[int], Awaitable[Event]]
    name: Callable[[int], dict[str, Any]]
    gap_s: float = GAP_S


async def ticks(context: Context, plan: Plan) -> AsyncGenerator[Event, Outcome]:
    """Yields the event of each tick when it is due."""
    with LogThrottle(context.log, context.clock.now) as throttle:
        ticker = Ticker(context, plan, throttle)
        ticker.start()
        try:
            while (due := ticker.next()) is not None:
                if not await wait_until(context.clock, to_time(due)) or not ticker.reached(due):
                    continue
                event = await plan.event(due)
                ticker.sends(due)
                if pause := ticker.answered(due, (yield event)):
                    await wait_until(context.clock, pause)
        finally:
            ticker.stop()


class Ticker:
    """Decides what happens with each tick of a plan. It does not wait: ``ticks()`` and the pool do.

    Call :meth:`start`, then in turn: :meth:`next`; wait for this time; :meth:`reached`. If that is True, make the
    event, call :meth:`sends`, deliver the event, call :meth:`answered`, and wait as it says. At the end call
    :meth:`stop`. A tick whose event could not be made is the next one again.
    """

    __slots__ = (
        "_clock",
        "_context",
        "_has_skipped",
        "_offset_s",
        "_plan",
        "_position",
        "_positions",
        "_sent_at",
        "_throttle",
        "_times",
    )

    def __init__(self, context: Context, plan: Plan, throttle: LogThrottle) -> None:
        self._context = context
        self._plan = plan
        self._times = plan.times
        self._clock = context.clock
        self._throttle = throttle
        self._positions = Positions(context, plan.times.key)
        self._position = 0  # the last tick that was sent or skipped
        self._has_skipped = False  # a tick that was due, since the last one that was sent
        self._offset_s = _clock_offset_s(context.clock)
        self._sent_at = context.clock.now()

    def start(self) -> None:
        """Set the position of a new process."""
        now = self._now()
        is_current, saved = self._positions.load()
        self._position = self._plan.policy.start(self._plan.all_times, saved, now) if is_current else now
        if saved != self._position or not is_current:
            self._positions.save(self._position)
        if (ahead_s := (self._position - now) / 1e9) >= SET_BACK_S:
            self._log_set_back(ahead_s, self._times.next(self._position))
        first = self._times.next(self._position)
        fields = {} if first is None else {f"first_{key}": text for key, text in self._plan.name(first).items()}
        self._context.log.info("timer started", extra={"fields": fields})

    def next(self) -> int | None:
        """The tick to wait for. None: the schedule has ended.

        If the clock was set back since the last call, that is logged: the wait is longer than it was expected to be.
        """
        due = self._times.next(self._position)
        if due is not None:
            previous_s, self._offset_s = self._offset_s, _clock_offset_s(self._clock)
            if (by_s := previous_s - self._offset_s) >= SET_BACK_S:
                self._log_set_back(by_s, due)
        return due

    def reached(self, due: int) -> bool:
        """The wait for ``due`` has ended. False: the tick is skipped, with those that follow it and are not sent."""
        self._offset_s = _clock_offset_s(self._clock)
        now = self._now()
        following: int | None = due
        if now - due > IN_TIME:
            following = self._plan.policy.following(self._times, due, now, self._plan.all_times)
        if following != due:
            self._skip(due, following, now)
            self._has_skipped = following is not None and following <= now
            return False
        if not self._has_skipped:
            self._throttle.recovered()
        self._has_skipped = False
        return True

    def sends(self, due: int) -> None:
        """The event of ``due`` is made."""
        self._position = due
        self._sent_at = self._clock.now()

    def answered(self, due: int, outcome: Outcome) -> datetime | None:
        """The delivery of ``due`` has ended. The result is when to go on; None: at once."""
        missed, now = self._plan.policy.missed, self._clock.now()
        if outcome is not Outcome.GAVE_UP:
            self._positions.save(due)
            if missed == "all" and to_ns(self._sent_at) - due > IN_TIME:
                # not longer if the clock was set back
                return min(self._sent_at, now) + timedelta(seconds=self._plan.gap_s)
        elif missed != "skip":
            self._position = due - 1
            return now + timedelta(seconds=AGAIN_S)
        return None

    def hand_over(self) -> None:
        """Another ticker with the same checkpoint goes on after the event in flight."""
        self._positions.save(self._position)

    def stop(self) -> None:
        """Count the ticks that no process sends. A new process does so itself if it knows the position."""
        now, due = self._now(), self._times.next(self._position)
        if due is None or due > now or self._context.checkpoint.is_shared:
            return
        following = Policy("skip", 0).following(self._times, due, now)
        if following != due:
            self._skip(due, following, now, stops=True)

    def _skip(self, due: int, following: int | None, now: int, *, stops: bool = False) -> None:
        """Count and log the ticks from ``due`` on, before ``following``."""
        last = self._times.latest(now if following is None else following - 1)
        assert last is not None  # due is one
        count = self._times.count(due - 1, last)
        self._position = last
        self._positions.save(last)
        self._context.count_missed(count)
        fields: dict[str, Any] = {"from": _text(due), "to": _text(last)}
        if following is not None and not stops:
            fields |= {f"next_{key}": text for key, text in self._plan.name(following).items()}
        self._throttle.log(logging.WARNING, "overdue ticks skipped", fields, count=count)

    def _log_set_back(self, by_s: float, due: int | None) -> None:
        next_s = None if due is None else round((due - self._now()) / 1e9, 3)
        self._throttle.warning("the clock was set back", by_s=round(by_s, 3), next_tick_in_s=next_s)

    def _now(self) -> int:
        return to_ns(self._clock.now())


def _clock_offset_s(clock: Clock) -> float:
    """Seconds from the monotonic clock to the wall clock; a change means that the wall clock was set."""
    return clock.now().timestamp() - asyncio.get_running_loop().time()


def _text(due: int) -> str:
    return to_time(due).isoformat(timespec="milliseconds")[:-6] + "Z"
