"""Sleeps on the wall clock of this machine, which is set while they last."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from adapter.model.clock import SystemClock, wait_until
from tests.deadline import DEADLINE_S

HOUR = timedelta(hours=1)


class SetClock(SystemClock):
    """The clock of this machine, and what it was set forward by."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("ahead", [HOUR, 3 * HOUR])
def test_sleep_ends_soon_after_the_clock_was_set_forward(ahead: timedelta) -> None:
    """Also after the machine slept: its timers stop meanwhile, and its clock does not."""
    clock = SetClock(look_again_s=0.01)

    async def run() -> bool:
        async with asyncio.timeout(DEADLINE_S):
            asyncio.get_running_loop().call_later(0.02, setattr, clock, "ahead", ahead)
            return await wait_until(clock, clock.now() + HOUR)

    assert asyncio.run(run())


def test_sleep_lasts_until_its_deadline_however_often_it_looks_at_the_clock() -> None:
    clock = SystemClock(look_again_s=0.01)

    async def run() -> None:
        deadline = clock.now() + timedelta(seconds=0.1)
        await clock.sleep_until(deadline)
        assert clock.now() >= deadline

    asyncio.run(run())
