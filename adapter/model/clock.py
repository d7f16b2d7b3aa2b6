"""Wall-clock time, which events and schedules use. An administrator or NTP may set it forward or back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

SET_BACK_S = 1.0  # smaller backward steps only delay the next tick
LOOK_AGAIN_S = 5.0  # a sleep looks at the clock this often: it may be set forward, or the machine sleeps


class Clock(Protocol):
    """Wall-clock time; virtual in tests."""

    def now(self) -> datetime:
        """The current time, with a time zone."""

    async def sleep_until(self, deadline: datetime) -> None:
        """Sleep until ``deadline``. If it has passed, yield to other tasks once: they handle SIGTERM."""


class SystemClock:
    """The wall clock of this machine."""

    def __init__(self, look_again_s: float = LOOK_AGAIN_S) -> None:
        self._look_again_s = look_again_s

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, deadline: datetime) -> None:
        """Ends at most ``look_again_s`` seconds after the clock is set to ``deadline`` or later."""
        await asyncio.sleep(0)
        while (remaining_s := (deadline - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 -- no event announces a time
            await asyncio.sleep(min(remaining_s, self._look_again_s))


async def wait_until(clock: Clock, due: datetime) -> bool:
    """Sleep until ``due``. False if the clock was set back: the wait has elapsed, but it is not ``due`` yet."""
    wait_s = max(0.0, (due - clock.now()).total_seconds())
    try:
        async with asyncio.timeout(wait_s + SET_BACK_S):
            await clock.sleep_until(due)
    except TimeoutError:
        return False
    return True
