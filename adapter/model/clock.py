"""Wall-clock time: what events and schedules live by. It may be set, also back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

SET_BACK_S = 1.0  # less is no matter: a tick comes so much later


class Clock(Protocol):
    """Wall-clock time; virtual in tests."""

    def now(self) -> datetime: ...

    async def sleep_until(self, deadline: datetime) -> None:
        """Lets other tasks run even if ``deadline`` is past: a source that is always late must not starve SIGTERM."""


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, deadline: datetime) -> None:
        """Reads the clock again after each sleep: timers may fire early, and clocks are set."""
        await asyncio.sleep(0)
        while (remaining_s := (deadline - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 -- time is no event
            await asyncio.sleep(remaining_s)


async def reached(clock: Clock, due: datetime) -> bool:
    """Sleep until ``due``. False if the time that takes is over, and the clock is not there: it was set back."""
    wait_s = max(0.0, (due - clock.now()).total_seconds())
    try:
        async with asyncio.timeout(wait_s + SET_BACK_S):
            await clock.sleep_until(due)
    except TimeoutError:
        return False
    return True
