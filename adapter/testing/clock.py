"""A virtual clock: a sleep advances it and takes no time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """A clock that starts at ``now``. A sleep takes no time: it sets the clock to its deadline plus ``late_s`` seconds.

    ``sleeps``: the deadlines of all sleeps.
    """

    def __init__(self, now: datetime = START, late_s: float = 0.0) -> None:
        self._now = now
        self._late = timedelta(seconds=late_s)
        self.sleeps: list[datetime] = []

    def now(self) -> datetime:
        """The virtual time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Set the clock forward, or back if ``seconds`` is negative, as an administrator may set the clock of a node.

        Call it in the code of a source, for example in ``tick()``, or between two events.
        """
        self._now += timedelta(seconds=seconds)

    async def sleep_until(self, deadline: datetime) -> None:
        """Set the clock to ``deadline`` plus ``late_s``, but not back."""
        self.sleeps.append(deadline)
        await asyncio.sleep(0)
        # In UTC: Python subtracts two times of one zone without regard to daylight saving time.
        self._now = max(self._now, deadline.astimezone(UTC) + self._late)
